import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readScalar } from "./scalar.ts";

test("a scalar is printed as it was read", () => {
  assert.deepEqual(["0", "-12", "9007199254740993", "007", "1.5", "-", "", "1e3"].map(readScalar), [
    ...[0, -12, 9007199254740993n],
    ...["007", "1.5", "-", "", "1e3"],
  ]);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.bigInt().map(String), fc.double().map(String)), (text) => {
      assert.equal(String(readScalar(text)), text);
    }),
  );
});
