import assert from "node:assert/strict";
import { test } from "node:test";
import { cutList } from "./cut-list.ts";

test("a list is cut by number and by bytes, and what is left out is counted", () => {
  const names = Array.from({ length: 5_000 }, (_, i) => `backends/web/servers/s${i}`);
  assert.deepEqual(cutList([]), { first: [], more: 0 });
  assert.deepEqual(cutList(names.slice(0, 1_000)), { first: names.slice(0, 1_000), more: 0 });
  assert.deepEqual(cutList(names), { first: names.slice(0, 1_000), more: 4_000 });
  assert.deepEqual(cutList(names, 100), { first: names.slice(0, 100), more: 4_900 });
  const long = Array.from({ length: 10 }, () => "ü".repeat(10_000));
  assert.deepEqual(cutList(long), { first: long.slice(0, 3), more: 7 });
  assert.deepEqual(cutList(["x".repeat(100_000)]), { first: [], more: 1 });
});
