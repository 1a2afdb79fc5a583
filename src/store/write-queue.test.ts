import assert from "node:assert/strict";
import { test } from "node:test";
import { DomainError } from "../lib/errors.ts";
import type { LogEntry } from "./event-log.ts";
import { toWire, type WireBatch } from "./wire.ts";
import type { GroupResult } from "./write-batch.ts";
import { WriteQueue } from "./write-queue.ts";

const batch = (name: string, bytes = 0): WireBatch =>
  toWire([{ kind: "put-meta", name, value: new Uint8Array(bytes) }], 0);

const nameOf = (operations: WireBatch["operations"]) =>
  operations.map((operation) => (operation.kind === "put-meta" ? operation.name : operation.kind)).join();

/** A queue whose transactions are ended by hand. */
function scripted(maxWaitingBytes?: number) {
  const groups: (PromiseWithResolvers<GroupResult> & { readonly names: readonly string[] })[] = [];
  const told: string[] = [];
  const outcomes: unknown[] = [];
  const queue = new WriteQueue({
    writeGroup(batches) {
      const group = { names: batches.map(nameOf), ...Promise.withResolvers<GroupResult>() };
      groups.push(group);
      return group.promise;
    },
    onDurable(batches: readonly WireBatch[], entries: readonly LogEntry[]) {
      told.push(
        ...batches.map((each) => nameOf(each.operations)),
        ...entries.map((entry) => `#${entry.seq}`),
      );
    },
    onOutcome: (failure) => outcomes.push(failure),
    ...(maxWaitingBytes === undefined ? {} : { maxWaitingBytes }),
  });
  const done = (n: number): GroupResult => ({
    batches: Array.from({ length: n }, () => ({ kind: "done" as const, entries: [] })),
    newest: { seq: 0, revision: 0 },
  });
  return { queue, groups, told, outcomes, done };
}

test("one batch goes alone and at once; what comes meanwhile shares the next transaction", async () => {
  const { queue, groups, told, done } = scripted();
  const first = queue.write(batch("a"));
  const others = [queue.write(batch("b")), queue.write(batch("c"))];
  assert.deepEqual(groups[0]?.names, ["a"]);
  assert.equal(groups.length, 1);
  groups[0]?.resolve(done(1));
  await first;
  assert.deepEqual(told, ["a"]);
  assert.deepEqual(groups[1]?.names, ["b", "c"]);
  groups[1]?.resolve(done(2));
  await Promise.all(others);
  assert.deepEqual(told, ["a", "b", "c"]);
  await queue.idle();
});

test("a refused batch fails alone, and is nothing that became durable", async () => {
  const { queue, groups, told, outcomes, done } = scripted();
  const first = queue.write(batch("a"));
  const refused = assert.rejects(queue.write(batch("b")), /does not fit/);
  const last = queue.write(batch("c"));
  groups[0]?.resolve(done(1));
  await first;
  const [ok] = done(1).batches;
  assert.ok(ok);
  groups[1]?.resolve({ ...done(0), batches: [{ kind: "refused", message: "does not fit" }, ok] });
  await refused;
  await last;
  assert.deepEqual(told, ["a", "c"]);
  assert.deepEqual(outcomes, [undefined, undefined]);
});

test("when the disk fails, everybody in the transaction hears it and the next ones are tried", async () => {
  const { queue, groups, told, outcomes, done } = scripted();
  const error = new DomainError("STORE_UNAVAILABLE", "full");
  const failed = assert.rejects(queue.write(batch("a")), error);
  const next = queue.write(batch("b"));
  groups[0]?.reject(error);
  await failed;
  groups[1]?.resolve(done(1));
  await next;
  assert.deepEqual(told, ["b"]);
  assert.deepEqual(outcomes, [error, undefined]);
});

test("what may wait is bounded, and a single batch of any size may", async () => {
  const { queue, groups, done } = scripted(10_000);
  const first = queue.write(batch("a"));
  const large = queue.write(batch("b", 50_000));
  await assert.rejects(queue.write(batch("c", 10)), { reason: "STORE_UNAVAILABLE" });
  groups[0]?.resolve(done(1));
  await first;
  const after = queue.write(batch("d", 10));
  groups[1]?.resolve(done(1));
  await large;
  groups[2]?.resolve(done(1));
  await after;
});

test("a transaction is bounded too", async () => {
  const { queue, groups, done } = scripted();
  const writes = [queue.write(batch("first"))];
  for (let n = 0; n < 6; n += 1) writes.push(queue.write(batch(`big-${n}`, 1_500_000)));
  for (const size of [1, 2, 2, 2]) {
    const group = groups.at(-1);
    assert.equal(group?.names.length, size);
    group?.resolve(done(size));
    await writes[groups.flatMap((each) => each.names).length - 1];
  }
  await Promise.all(writes);
});

test("a batch takes copies, and only of the bytes that it refers to", () => {
  const file = new Uint8Array(1_000_000);
  const bytes = file.subarray(10, 15).fill(7);
  const { operations, buffers, size } = toWire(
    [
      {
        kind: "append-revision",
        revision: {
          number: 1,
          parent: 0,
          time: 0,
          author: "",
          message: "",
          lane: "reload",
          resources: [],
          files: [{ kind: "edits", path: "/a", edits: [{ offset: 0, length: 0, bytes }] }],
        },
      },
    ],
    0,
  );
  bytes.fill(8);
  const [operation] = operations;
  assert.ok(operation?.kind === "append-revision");
  const [change] = operation.revision.files;
  assert.ok(change?.kind === "edits");
  assert.deepEqual(change.edits[0]?.bytes, new Uint8Array(5).fill(7));
  assert.deepEqual(
    buffers.map((buffer) => buffer.byteLength),
    [5],
  );
  assert.ok(size < 1_000);
});
