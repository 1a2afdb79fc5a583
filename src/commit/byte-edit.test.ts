import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Content } from "../lib/content.ts";
import { applyEdits } from "../store/delta.ts";
import { byteEdit } from "./byte-edit.ts";

test("the edit makes one content of the other, and is no longer than where they differ", () => {
  const piece = fc.string({ maxLength: 6, unit: fc.constantFrom("a", "b") });
  // Repeated, so that contents are longer than what is compared at a time.
  const long = fc.tuple(piece, fc.nat({ max: 60_000 })).map(([text, times]) => text.repeat(times));
  fc.assert(
    fc.property(long, piece, piece, long, (head, old, now, tail) => {
      const [before, after] = [Buffer.from(head + old + tail), Buffer.from(head + now + tail)];
      const edit = byteEdit(Content.of(before), Content.of(after));
      assert.deepEqual(Buffer.from(applyEdits(before, [edit])), after);
      assert.ok(edit.length <= old.length && edit.bytes.length <= now.length);
    }),
    { numRuns: 60 },
  );
});
