import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Fifo } from "./fifo.ts";

test("a fifo behaves as an array, over any order of calls", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(), fc.constantFrom("shift", "drain"))), (calls) => {
      const fifo = new Fifo<number>();
      let model: number[] = [];
      for (const call of calls) {
        if (call === "shift") assert.equal(fifo.shift(), model.shift());
        else if (call === "drain") {
          assert.deepEqual(fifo.drain(), model);
          model = [];
        } else {
          fifo.push(call as number);
          model.push(call as number);
        }
        assert.equal(fifo.length, model.length);
        assert.deepEqual([...fifo], model);
      }
    }),
  );
});

test("a long fifo gives its memory back and keeps its order", () => {
  const fifo = new Fifo<number>();
  for (let i = 0; i < 5_000; i += 1) fifo.push(i);
  for (let i = 0; i < 4_000; i += 1) assert.equal(fifo.shift(), i);
  assert.equal(fifo.length, 1_000);
  assert.deepEqual([...fifo].slice(0, 2), [4_000, 4_001]);
});
