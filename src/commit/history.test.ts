import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { byteEdit } from "./history.ts";

test("a byte edit leads from the one content to the other and is no longer than it has to be", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "\n"), maxLength: 40 });
  fc.assert(
    fc.property(text, text, (a, b) => {
      const [before, after] = [Buffer.from(a), Buffer.from(b)];
      const { offset, length, bytes } = byteEdit(before, after);
      const made = Buffer.concat([before.subarray(0, offset), bytes, before.subarray(offset + length)]);
      assert.equal(made.toString(), b);
      assert.ok(length === 0 || bytes.length === 0 || before[offset] !== bytes[0]);
    }),
  );
});
