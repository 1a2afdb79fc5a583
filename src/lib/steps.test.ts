import assert from "node:assert/strict";
import { test } from "node:test";
import { runSteps, runStepsGently, type Steps } from "./steps.ts";

function* count(to: number): Steps<number> {
  for (let step = 0; step < to; step++) yield;
  return to;
}

test("steps lead to the same, at once or gently", async () => {
  assert.equal(runSteps(count(1_000)), 1_000);
  assert.equal(await runStepsGently(count(1_000)), 1_000);
  assert.equal(await runStepsGently(count(0)), 0);
});

test("others run between the stretches of gentle work", async () => {
  let turns = 0;
  let working = true;
  const others = () => {
    turns += 1;
    if (working) setImmediate(others);
  };
  setImmediate(others);
  await runStepsGently(count(6_400));
  working = false;
  assert.ok(turns >= 99, `${turns}`);
});

test("what a step throws comes out", async () => {
  const failing = function* (): Steps<void> {
    yield;
    throw new Error("not this one");
  };
  assert.throws(() => runSteps(failing()), /not this one/);
  await assert.rejects(runStepsGently(failing()), /not this one/);
});
