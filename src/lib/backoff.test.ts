import assert from "node:assert/strict";
import { test } from "node:test";
import { createBackoff } from "./backoff.ts";

test("delays double up to the maximum and begin again after a reset", () => {
  const backoff = createBackoff({ firstMs: 100, maxMs: 1_000, random: () => 1 });
  assert.deepEqual([1, 2, 3, 4, 5, 6].map(backoff.next), [100, 200, 400, 800, 1_000, 1_000]);
  backoff.reset();
  assert.equal(backoff.next(), 100);
});

test("jitter takes away at most half", () => {
  const backoff = createBackoff({ firstMs: 100, maxMs: 100, random: () => 0 });
  assert.equal(backoff.next(), 50);
});
