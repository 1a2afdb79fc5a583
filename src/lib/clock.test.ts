import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "./clock.ts";

const DAY_MS = 86_400_000;

test("what is due in months is not done at once, and can be cancelled", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let [now, done] = [0, 0];
  t.mock.method(performance, "now", () => now);
  const pass = (ms: number) => {
    now += ms;
    t.mock.timers.tick(ms);
  };
  systemClock.after(60 * DAY_MS, () => done++);
  const cancel = systemClock.after(60 * DAY_MS, () => assert.fail("it was cancelled"));
  pass(1);
  assert.equal(done, 0);
  for (let day = 1; day < 60; day++) pass(DAY_MS);
  assert.equal(done, 0);
  cancel();
  pass(DAY_MS);
  assert.equal(done, 1);
});
