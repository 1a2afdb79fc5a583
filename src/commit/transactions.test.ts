import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { pino } from "pino";
import { ChangeSchema, GuardSchema } from "../../gen/haplane/v1/configuration_pb.js";
import type { ApplyInput } from "../config/apply-request.ts";
import { createEtags } from "../config/etag.ts";
import { ManualClock } from "../lib/manual-clock.ts";
import type { NewTransactionWrite, Operation, StoredTransaction } from "../store/operations.ts";
import { Document } from "../text/document.ts";
import type { ChangeOutcome, ChangeRequest } from "./change.ts";
import { stagedConfiguration } from "./staged-configuration.ts";
import { MAX_OPEN, Transactions } from "./transactions.ts";

const TEXT = `backend one
    server a 10.0.0.1:80

backend two
    server a 10.0.0.1:80
`;
const ANN = { name: "ann", isAdmin: false };
const BOB = { name: "bob", isAdmin: false };
const etags = createEtags(Buffer.alloc(32, 1));

/** What a Commit does with a change, without HAProxy. */
class StandIn {
  document = Document.parse([{ path: "haproxy.cfg", bytes: Buffer.from(TEXT) }]);
  revision = 1;

  async change({ edit, validateOnly }: ChangeRequest): Promise<ChangeOutcome> {
    const before = this.document;
    const after = edit.apply(before);
    if (validateOnly !== true) {
      this.document = after;
      this.revision++;
    }
    return {
      ...{ revision: this.revision, via: "reload", reasons: [], commands: [], reload: undefined },
      ...{ tookMs: 0, before, after, warnings: [] },
    };
  }

  get text(): string {
    return this.document.print(0).toString();
  }
}

/** What the store keeps of transactions. */
class MemoryStore {
  readonly #rows = new Map<string, StoredTransaction & { writes: NewTransactionWrite[] }>();

  async write(batch: readonly Operation[]): Promise<void> {
    for (const operation of batch) {
      if (operation.kind === "put-transaction") {
        const { name } = operation.transaction;
        this.#rows.set(name, { ...operation.transaction, writes: this.#rows.get(name)?.writes ?? [] });
      } else if (operation.kind === "append-transaction-write") {
        this.#rows.get(operation.write.transaction)!.writes.push(operation.write);
      } else if (operation.kind === "delete-transaction") this.#rows.delete(operation.name);
    }
  }

  async transactions() {
    return [...this.#rows.values()];
  }
}

async function world() {
  const commit = new StandIn();
  const store = new MemoryStore();
  const clock = new ManualClock(1_000_000);
  const open = async () => {
    const transactions = new Transactions({
      subject: stagedConfiguration({
        ...{ commit, owns: () => false },
        context: () => ({ etags, version: undefined, etagsCount: true }),
      }),
      ...{ store, clock, logger: pino({ level: "silent" }) },
    });
    await transactions.start();
    return transactions;
  };
  return { commit, store, clock, open, transactions: await open() };
}

function weigh(
  backend: string,
  weight: number,
  guards: MessageInitShape<typeof GuardSchema>[] = [],
): ApplyInput {
  const change = create(ChangeSchema, {
    operation: {
      case: "update",
      value: {
        resource: { name: `backends/${backend}/servers/a`, kind: { case: "server", value: { weight } } },
      },
    },
  });
  return {
    ...{ changes: [change], desired: [], prune: [], single: true },
    guards: guards.map((guard) => create(GuardSchema, guard)),
  };
}

const commitNow = { validateOnly: false, message: "" };

test("what is staged is seen inside only, until it is committed", async () => {
  const { commit, transactions } = await world();
  const { name } = await transactions.begin("ann", 60_000);
  await transactions.stage(name, ANN, weigh("one", 5), true);
  assert.match(transactions.read(name, ANN).document.print(0).toString(), /weight 5/);
  assert.equal(commit.text, TEXT);
  await transactions.commit(name, ANN, { ...commitNow, validateOnly: true });
  assert.equal(commit.text, TEXT);
  await transactions.commit(name, ANN, commitNow);
  assert.match(commit.text, /weight 5/);
  assert.throws(() => transactions.get(name), { reason: "RESOURCE_NOT_FOUND" });
});

test("what is only tried is not staged", async () => {
  const { transactions } = await world();
  const { name } = await transactions.begin("ann", 60_000);
  await transactions.stage(name, ANN, weigh("one", 5), false);
  assert.equal(transactions.get(name).writes, 0);
});

test("disjoint transactions are both committed", async () => {
  const { commit, transactions } = await world();
  const [first, second] = [await transactions.begin("ann", 60_000), await transactions.begin("bob", 60_000)];
  await transactions.stage(first.name, ANN, weigh("one", 5), true);
  await transactions.stage(second.name, BOB, weigh("two", 6), true);
  await Promise.all([
    transactions.commit(first.name, ANN, commitNow),
    transactions.commit(second.name, BOB, commitNow),
  ]);
  assert.equal(commit.text, TEXT.replace(":80\n", ":80 weight 5\n").replace(/:80\n/, ":80 weight 6\n"));
});

test("a transaction whose resource others changed conflicts, stays open, and says so beforehand", async () => {
  const { commit, transactions } = await world();
  const [first, second] = [await transactions.begin("ann", 60_000), await transactions.begin("bob", 60_000)];
  await transactions.stage(first.name, ANN, weigh("one", 5), true);
  await transactions.stage(second.name, BOB, weigh("one", 6), true);
  await transactions.commit(first.name, ANN, commitNow);
  assert.deepEqual(transactions.get(second.name).conflicts, ["backends/one/servers/a"]);
  await assert.rejects(transactions.commit(second.name, BOB, commitNow), {
    reason: "CONFLICT",
    metadata: { resources: "backends/one/servers/a" },
  });
  assert.match(commit.text, /weight 5/);
  assert.equal(transactions.get(second.name).writes, 1);
});

test("a guarded resource that others change is a conflict too", async () => {
  const { commit, transactions } = await world();
  const { name } = await transactions.begin("ann", 60_000);
  const guard = { name: "backends/two/servers/none", etag: "" };
  await transactions.stage(name, ANN, weigh("one", 5, [guard]), true);
  const other = await transactions.begin("bob", 60_000);
  const server = create(ChangeSchema, {
    operation: {
      case: "create",
      value: { resource: { name: guard.name, kind: { case: "server", value: { address: "10.0.0.9" } } } },
    },
  });
  await transactions.stage(other.name, BOB, { ...weigh("one", 1), changes: [server] }, true);
  await transactions.commit(other.name, BOB, commitNow);
  assert.match(commit.text, /server none/);
  await assert.rejects(transactions.commit(name, ANN, commitNow), { reason: "CONFLICT" });
});

test("they survive a restart, with what is staged and guarded", async () => {
  const { commit, transactions, open } = await world();
  const [first, second] = [await transactions.begin("ann", 60_000), await transactions.begin("ann", 60_000)];
  await transactions.stage(first.name, ANN, weigh("one", 5), true);
  await transactions.stage(second.name, ANN, weigh("one", 6), true);
  const again = await open();
  assert.deepEqual(
    again.list().map(({ name, writes }) => [name, writes]),
    [first, second].sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ name }) => [name, 1]),
  );
  await again.commit(first.name, ANN, commitNow);
  assert.match(commit.text, /weight 5/);
  await assert.rejects(again.commit(second.name, ANN, commitNow), { reason: "CONFLICT" });
});

test("one that does not fit any more after a restart is kept, and says why", async () => {
  const { commit, transactions, open } = await world();
  const { name } = await transactions.begin("ann", 60_000);
  await transactions.stage(name, ANN, weigh("one", 5), true);
  commit.document = Document.parse([{ path: "haproxy.cfg", bytes: Buffer.from("backend two\n") }]);
  const again = await open();
  assert.throws(() => again.read(name, ANN), { reason: "CONFLICT" });
  await assert.rejects(again.commit(name, ANN, commitNow), { reason: "CONFLICT" });
  await again.abort(name, ANN);
  assert.deepEqual(again.list(), []);
});

test("one that is not used expires, and says so; use renews it", async () => {
  const { clock, transactions, open } = await world();
  const [used, unused] = [await transactions.begin("ann", 10_000), await transactions.begin("ann", 10_000)];
  for (let i = 0; i < 3; i++) {
    clock.advance(6_000);
    transactions.read(used.name, ANN);
  }
  assert.equal(transactions.get(used.name).name, used.name);
  assert.throws(() => transactions.get(unused.name), { reason: "TRANSACTION_EXPIRED" });
  assert.deepEqual(
    (await open()).list().map(({ name }) => name),
    [used.name],
  );
});

test("an owner has so many at most; ended ones do not count", async () => {
  const { transactions } = await world();
  const all = [];
  for (let i = 0; i < MAX_OPEN; i++) all.push(await transactions.begin("ann", 60_000));
  await assert.rejects(transactions.begin("ann", 60_000), { reason: "LIMIT_EXCEEDED" });
  await transactions.begin("bob", 60_000);
  await transactions.abort(all[0]!.name, ANN);
  await transactions.abort(all[0]!.name, ANN);
  await transactions.begin("ann", 60_000);
});

test("they are their owner's; an admin may end them", async () => {
  const { transactions } = await world();
  const { name } = await transactions.begin("ann", 60_000);
  assert.throws(() => transactions.read(name, BOB), { reason: "PERMISSION_DENIED" });
  assert.throws(() => transactions.stage(name, BOB, weigh("one", 1), true), { reason: "PERMISSION_DENIED" });
  await assert.rejects(transactions.abort(name, BOB), { reason: "PERMISSION_DENIED" });
  await transactions.abort(name, { name: "root", isAdmin: true });
  assert.throws(() => transactions.get(name), { reason: "RESOURCE_NOT_FOUND" });
});

test("a write that fails leaves the transaction as it was", async () => {
  const { transactions } = await world();
  const { name } = await transactions.begin("ann", 60_000);
  await transactions.stage(name, ANN, weigh("one", 5), true);
  await assert.rejects(transactions.stage(name, ANN, weigh("one", 500), true), { reason: "FIELD_INVALID" });
  assert.equal(transactions.get(name).writes, 1);
  await transactions.commit(name, ANN, commitNow);
});
