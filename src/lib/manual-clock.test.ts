import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "./manual-clock.ts";

test("timers fire in the order of their time, also those that a timer sets, and a cancelled one never", () => {
  const clock = new ManualClock(1_000);
  const fired: string[] = [];
  clock.after(20, () => fired.push(`b@${clock.now()}`));
  clock.after(10, () => {
    fired.push(`a@${clock.now()}`);
    clock.after(5, () => fired.push(`c@${clock.now()}`));
  });
  const cancel = clock.after(12, () => fired.push("never"));
  cancel();
  clock.advance(15);
  assert.deepEqual(fired, ["a@1010", "c@1015"]);
  clock.advance(4);
  assert.equal(clock.now(), 1_019);
  clock.advance(1);
  assert.deepEqual(fired, ["a@1010", "c@1015", "b@1020"]);
  assert.equal(clock.pending, 0);
});
