import assert from "node:assert/strict";
import { test } from "node:test";
import { boundRequests } from "./bound-requests.ts";

const limits = { maxUploadBytes: 100, uploadIdleMs: 30_000 };

async function* pieces(...sizes: readonly number[]) {
  for (const size of sizes) yield { part: { case: "data", value: new Uint8Array(size) } };
}

async function lengthOf(requests: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of requests) count += 1;
  return count;
}

test("what stays within its bounds comes through", async () => {
  assert.equal(await lengthOf(boundRequests(pieces(40, 40), limits)), 2);
});

test("an upload that is too large is refused, and its source left", async () => {
  let left = false;
  async function* endless() {
    try {
      for (;;) yield* pieces(10);
    } finally {
      left = true;
    }
  }
  await assert.rejects(lengthOf(boundRequests(endless(), limits)), {
    reason: "LIMIT_EXCEEDED",
    metadata: { limit: "max_upload_size", maximum: "100" },
  });
  assert.ok(left);
});

test("an upload that rests too long is refused", async () => {
  async function* resting() {
    yield* pieces(1);
    await new Promise(() => {});
  }
  await assert.rejects(lengthOf(boundRequests(resting(), { ...limits, uploadIdleMs: 5 })), {
    reason: "LIMIT_EXCEEDED",
    metadata: { limit: "upload_idle", maximum: "5 ms" },
  });
});
