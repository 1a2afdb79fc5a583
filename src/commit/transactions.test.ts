import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { pino } from "pino";
import { ChangeSchema, GuardSchema } from "../../gen/haplane/v1/configuration_pb.js";
import type { ApplyInput } from "../config/apply-request.ts";
import { createEtags } from "../config/etag.ts";
import { DomainError } from "../lib/errors.ts";
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
  /** What a commit waits for, as for a check or a reload. */
  held: Promise<void> | undefined;

  async change({ edit, validateOnly }: ChangeRequest): Promise<ChangeOutcome> {
    await this.held;
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

async function world({ clock = new ManualClock(1_000_000), store = new MemoryStore() } = {}) {
  const commit = new StandIn();
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

test("one lives as long as it is said to when the clock was set back, and it is used", async () => {
  const { clock, store, transactions } = await world();
  const { name } = await transactions.begin("ann", 10_000);
  const ahead = { ...(await store.transactions())[0]!, expireTime: clock.now() + 1e12 };
  await store.write([{ kind: "put-transaction", transaction: ahead }]);
  const again = await world({ clock, store });
  again.transactions.read(name, ANN);
  assert.equal(again.transactions.get(name).expireTime, clock.now() + 10_000);
  clock.advance(20_000);
  assert.deepEqual(again.transactions.list(), []);
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

/** What became of calls: `done`, or the reason of the error. */
async function outcomes(calls: readonly Promise<unknown>[]): Promise<string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((one) => {
    if (one.status === "fulfilled") return "done";
    assert.ok(one.reason instanceof DomainError, String(one.reason));
    return one.reason.reason;
  });
}

/** Adds a server to a backend. */
function adds(backend: string, server: string): ApplyInput {
  const resource = {
    name: `backends/${backend}/servers/${server}`,
    kind: { case: "server" as const, value: { address: "10.0.0.9", port: 80 } },
  };
  const change = create(ChangeSchema, { operation: { case: "create", value: { resource } } });
  return { changes: [change], desired: [], prune: [], guards: [], single: true };
}

test("one that is being committed does not expire, however long that takes, nor do those who wait for it", async () => {
  const { commit, transactions, clock } = await world();
  const { name } = await transactions.begin("ann", 60_000);
  await transactions.stage(name, ANN, weigh("one", 5), true);
  const refused = Promise.withResolvers<void>();
  commit.held = refused.promise;
  const first = transactions.commit(name, ANN, commitNow);
  const late = transactions.stage(name, ANN, weigh("two", 6), true);
  clock.advance(600_000);
  assert.deepEqual(
    transactions.list().map((view) => view.name),
    [name],
  );
  refused.reject(new DomainError("CONFIGURATION_REFUSED", "no"));
  assert.deepEqual(await outcomes([first, late]), ["CONFIGURATION_REFUSED", "done"]);
  // It is renewed by what was done with it, and open as if nothing had been.
  commit.held = undefined;
  clock.advance(59_000);
  await transactions.commit(name, ANN, commitNow);
  assert.match(commit.text, /weight 5.*weight 6/s);
  clock.advance(600_000);
  assert.throws(() => transactions.get(name), { reason: "RESOURCE_NOT_FOUND" });
});

test("of a commit and an abort, and of two commits, the one that comes first counts", async () => {
  const { commit, transactions } = await world();
  const begin = async (weight: number) => {
    const { name } = await transactions.begin("ann", 60_000);
    await transactions.stage(name, ANN, weigh("one", weight), true);
    return name;
  };
  const one = await begin(5);
  const finish = (name: string) => transactions.commit(name, ANN, commitNow);
  assert.deepEqual(await outcomes([finish(one), transactions.abort(one, ANN)]), ["done", "done"]);
  assert.match(commit.text, /weight 5/);
  const two = await begin(6);
  assert.deepEqual(await outcomes([transactions.abort(two, ANN), finish(two)]), [
    "done",
    "RESOURCE_NOT_FOUND",
  ]);
  const three = await begin(7);
  const { revision } = commit;
  assert.deepEqual(await outcomes([finish(three), finish(three)]), ["done", "RESOURCE_NOT_FOUND"]);
  assert.equal(commit.revision, revision + 1);
  assert.doesNotMatch(commit.text, /weight 6/);
});

test("an abort that is not durable has not been one", async () => {
  const { store, transactions } = await world();
  const { name } = await transactions.begin("ann", 60_000);
  const { write } = store;
  store.write = () => Promise.reject(new DomainError("STORE_UNAVAILABLE", "the disk is full"));
  await assert.rejects(transactions.abort(name, ANN), { reason: "STORE_UNAVAILABLE" });
  store.write = write;
  assert.equal(transactions.get(name).name, name);
  await transactions.abort(name, ANN);
  assert.deepEqual(await store.transactions(), []);
});

test("many transactions on one section: all that write different servers are made, of those that write the same one the first", async () => {
  const { commit, transactions } = await world();
  const names = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const owner = { name: `owner ${index}`, isAdmin: false };
      const { name } = await transactions.begin(owner.name, 60_000);
      await transactions.stage(name, owner, adds("one", index < 10 ? `own${index}` : "same"), true);
      return { name, owner };
    }),
  );
  const found = await outcomes(names.map(({ name, owner }) => transactions.commit(name, owner, commitNow)));
  assert.deepEqual(found, [...Array(11).fill("done"), ...Array(9).fill("CONFLICT")]);
  for (const server of ["same", ...Array.from({ length: 10 }, (_, index) => `own${index}`)])
    assert.equal(commit.text.split(`server ${server} `).length, 2, server);
});

test("what others took away under a transaction is a conflict, also where it writes only what stands in it", async () => {
  const { commit, transactions } = await world();
  const { name } = await transactions.begin("ann", 60_000);
  await transactions.stage(name, ANN, adds("two", "b"), true);
  const whole = commit.document;
  commit.document = Document.parse([
    { path: "haproxy.cfg", bytes: Buffer.from(TEXT.slice(0, TEXT.indexOf("backend two"))) },
  ]);
  await assert.rejects(transactions.commit(name, ANN, commitNow), (error) => {
    assert.ok(error instanceof DomainError);
    assert.deepEqual([error.reason, error.metadata.resources], ["CONFLICT", "backends/two"]);
    return true;
  });
  // When it comes back, the transaction fits again.
  commit.document = whole;
  await transactions.commit(name, ANN, commitNow);
  assert.match(commit.text, /server b 10\.0\.0\.9:80/);
});

test("an owner's limit holds for those who begin at the same time, and does not count what has expired", async () => {
  const { transactions, clock } = await world();
  const begin = () => transactions.begin("ann", 60_000);
  const found = await outcomes(Array.from({ length: MAX_OPEN + 5 }, begin));
  assert.deepEqual(found, [...Array(MAX_OPEN).fill("done"), ...Array(5).fill("LIMIT_EXCEEDED")]);
  clock.advance(60_000);
  assert.deepEqual(await outcomes([begin()]), ["done"]);
});
