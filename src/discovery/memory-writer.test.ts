import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../lib/manual-clock.ts";
import { createMemoryWriter } from "./memory-writer.ts";

test("what has to be remembered is written at once, and what changes all the time once a second", () => {
  const clock = new ManualClock();
  let writes = 0;
  const writer = createMemoryWriter(clock, async () => void writes++);
  const pass = (ms: number) => {
    for (let left = ms; left > 0; left -= 10) {
      writer.touch();
      clock.advance(10);
    }
  };
  pass(30);
  assert.equal(writes, 1);
  pass(900);
  assert.equal(writes, 1);
  pass(1_000);
  assert.equal(writes, 2);
});

test("nothing is written that was not touched, and a flush does not wait", async () => {
  const clock = new ManualClock();
  let writes = 0;
  const writer = createMemoryWriter(clock, async () => void writes++);
  await writer.flush();
  assert.equal(writes, 0);
  writer.touch();
  await writer.flush();
  clock.advance(5_000);
  assert.equal(writes, 1);
});
