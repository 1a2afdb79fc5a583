import assert from "node:assert/strict";
import { test } from "node:test";
import { presentTransaction } from "./present-events.ts";

test("an open transaction shows as many resources as its events do, and counts the others", () => {
  const resources = Array.from({ length: 150 }, (_, i) => `backends/b/servers/s${i}`);
  const view = { name: "transactions/1", owner: "users/a", createTime: 0, resources };
  const { payload } = presentTransaction(view as unknown as Parameters<typeof presentTransaction>[0]);
  assert.ok(payload.case === "transaction");
  assert.deepEqual(payload.value.resources, resources.slice(0, 100));
  assert.equal(payload.value.moreResources, 50);
});
