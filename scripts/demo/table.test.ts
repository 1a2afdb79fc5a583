import assert from "node:assert/strict";
import { test } from "node:test";
import { newScore } from "./score.ts";
import { figureLines, tableLines } from "./table.ts";

function exampleScore() {
  const score = newScore();
  score.instances.push(
    { name: "app-1", port: 40_001, state: "gone", goneAt: 1_000 },
    { name: "app-2", port: 40_002, state: "gone", goneAt: 9_000 },
    { name: "app-3", port: 40_003, state: "serving" },
    { name: "app-4", port: 40_004, state: "joining" },
  );
  score.beganAt = 0;
  score.reloadsAtFirst = 1;
  score.eventMs.push(3, 1, 2);
  return score;
}

const traffic = {
  total: 3_600,
  failures: [],
  served: new Map([
    ["app-1", 600],
    ["app-2", 1_000],
    ["app-3", 2_000],
  ]),
};

test("the table shows who serves what; what has been gone for a while is left out", () => {
  assert.deepEqual(tableLines(exampleScore(), traffic, 10_000).slice(0, 5), [
    "instance  port    state      requests",
    "app-2     40002   gone          1,000  ████████████",
    "app-3     40003   serving       2,000  ████████████████████████",
    "app-4     40004   joining           0",
    "",
  ]);
});

test("the figures say what matters", () => {
  assert.deepEqual(figureLines({ ...exampleScore(), endedAt: 4_000 }, traffic, 10_000), [
    "requests   3,600 in 4.0 s (900/s, on kept and on new connections)",
    "failures   0",
    "reloads    0 since the service was new (that cost 1); the same worker since",
    "register → event on a watch       median 2.0 ms, slowest 3.0 ms",
    "register → first request served   none yet",
    "deregister → out of HAProxy       none yet",
  ]);
});
