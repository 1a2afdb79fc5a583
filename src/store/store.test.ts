import assert from "node:assert/strict";
import { chmod, mkdtemp, open as openFile, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { describe, type TestContext, test } from "node:test";
import type { Worker } from "node:worker_threads";
import { create, fromBinary } from "@bufbuild/protobuf";
import { pino } from "pino";
import { type Event, EventKind, EventSchema } from "../../gen/haplane/v1/events_pb.js";
import { ManualClock } from "../lib/manual-clock.ts";
import type { LogEntry } from "./event-log.ts";
import type { NewRevision, ReloadRecord } from "./operations.ts";
import type { Retention } from "./retention.ts";
import { MIGRATIONS } from "./schema.ts";
import { openStore, type Store } from "./store.ts";

interface Place {
  readonly directory: string;
  readonly clock: ManualClock;
  /** Messages that were logged, with their level. */
  readonly logged: { readonly level: number; readonly msg: string }[];
  open(retention?: Partial<Retention>): Promise<Store>;
}

/** A state directory of a test; stores that are still open in the end are closed. */
async function place(t: TestContext): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), "haplane-store-"));
  const clock = new ManualClock();
  const logged: Place["logged"] = [];
  const logger = pino({}, { write: (line) => logged.push(JSON.parse(line)) });
  const stores: Store[] = [];
  t.after(async () => {
    for (const store of stores) await store.close();
    await rm(directory, { recursive: true });
  });
  return {
    directory,
    clock,
    logged,
    async open(retention = {}) {
      const store = await openStore(directory, { clock, logger, pid: 4711, retention });
      stores.push(store);
      return store;
    },
  };
}

function revision(
  number: number,
  content: string | { readonly edit: [number, number, string] },
): NewRevision {
  const path = "/etc/haproxy/haproxy.cfg";
  const [offset, length, text] = typeof content === "string" ? [0, 0, content] : content.edit;
  return {
    number,
    parent: number - 1,
    time: 1_700_000_000_000 + number,
    author: "admin",
    message: `change ${number}`,
    lane: "reload",
    resources: [`backends/b${number}`],
    files: [
      typeof content === "string"
        ? { kind: "content", path, content: Buffer.from(text) }
        : { kind: "edits", path, edits: [{ offset, length, bytes: Buffer.from(text) }] },
    ],
  };
}

const event = (author: string, of = 0): Event =>
  create(EventSchema, { kind: EventKind.SERVER, resource: `r/${author}`, author, revision: BigInt(of) });

const authors = (entries: readonly LogEntry[]) =>
  entries.map((entry) => entry.events.map((each) => fromBinary(EventSchema, each.bytes).author).join());

async function textOf(store: Store, number: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of store.revisions.read(number, "/etc/haproxy/haproxy.cfg")) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

const notFound = { reason: "RESOURCE_NOT_FOUND" };

describe("what is written", () => {
  test("is there after a restart", async (t) => {
    const { open } = await place(t);
    const before = await open();
    const reload: ReloadRecord = {
      number: 1,
      state: "failed",
      reasons: ["a bind was added"],
      output: "[ALERT] no",
      revision: 2,
      startTime: 5,
      endTime: 9,
      captured: Buffer.from("drains"),
    };
    await before.write([
      { kind: "append-revision", revision: revision(1, "global\n") },
      { kind: "append-events", events: [event("a", 1), event("b", 1)] },
    ]);
    await before.write([
      { kind: "append-revision", revision: revision(2, { edit: [6, 1, "\n  maxconn 10\n"] }) },
      { kind: "put-reload", reload: { ...reload, state: "running" } },
      { kind: "put-meta", name: "m", value: Buffer.from("v") },
      { kind: "begin-intent", intent: { id: "w", time: 1, base: 1, former: [], data: Buffer.from("d") } },
    ]);
    await before.write([{ kind: "put-reload", reload }]);
    await before.sources.put({ name: "sources/b", settings: Buffer.from("s"), memory: Buffer.from("") });
    await before.sources.put({ name: "sources/a", settings: Buffer.from("old"), memory: Buffer.from("m") });
    await before.sources.put({ name: "sources/a", settings: Buffer.from("s"), memory: Buffer.from("m") });
    await before.close();

    const store = await open();
    assert.equal(store.epoch, before.epoch);
    assert.deepEqual(store.etagKey, before.etagKey);
    assert.equal(store.setAside, undefined);
    assert.equal(store.newestRevision, 2);
    assert.equal(store.newestReload, 1);
    assert.deepEqual(store.events.newest, { seq: 2, revision: 1 });
    assert.equal(await textOf(store, 1), "global\n");
    assert.equal(await textOf(store, 2), "global\n  maxconn 10\n");
    const { files, ...second } = revision(2, "");
    assert.deepEqual({ ...(await store.revisions.get(2)) }, second);
    assert.deepEqual(
      (await store.revisions.list({ limit: 10 })).map(({ number }) => number),
      [2, 1],
    );
    assert.deepEqual(await store.revisions.files(2), [{ path: files[0]?.path, size: 20 }]);
    const { captured, ...rest } = await store.reloads.get(1);
    assert.deepEqual({ ...rest, captured: captured && Buffer.from(captured) }, reload);
    assert.deepEqual(
      (await store.sources.list()).map(({ name, settings }) => [name, Buffer.from(settings).toString()]),
      [
        ["sources/a", "s"],
        ["sources/b", "s"],
      ],
    );
    assert.deepEqual(Buffer.from((await store.meta("m")) ?? []).toString(), "v");
    assert.equal(await store.meta("n"), undefined);
    assert.deepEqual(
      (await store.pendingIntents()).map(({ id, base }) => [id, base]),
      [["w", 1]],
    );
    const page = await store.events.read(0, { events: 10, bytes: 1_000 });
    assert.deepEqual(authors(page.entries), ["a,b"]);
  });

  test("what is forgotten is not in the database any more", async (t) => {
    const { directory, open } = await place(t);
    const store = await open();
    const secret = "the content of a private key ".repeat(500);
    const former = [{ kind: "content" as const, path: "/key.pem", content: Buffer.from(secret) }];
    await store.write([
      { kind: "append-revision", revision: revision(1, "a") },
      { kind: "begin-intent", intent: { id: "w", time: 1, base: 1, former, data: Buffer.from(secret) } },
      {
        kind: "put-source",
        source: { name: "sources/a", settings: Buffer.from(secret), memory: Buffer.from("") },
      },
    ]);
    await store.write([
      { kind: "finish-intent", id: "w" },
      { kind: "delete-source", name: "sources/a" },
    ]);
    await store.close();
    for (const name of await readdir(directory)) {
      const content = await readFile(join(directory, name));
      assert.ok(!content.includes("private key"), name);
    }
  });

  test("can be taken back and forgotten", async (t) => {
    const store = await (await place(t)).open();
    await store.write([
      { kind: "append-revision", revision: revision(1, "a") },
      { kind: "begin-intent", intent: { id: "w", time: 1, base: 1, former: [], data: Buffer.from("") } },
      {
        kind: "put-source",
        source: { name: "sources/a", settings: Buffer.from(""), memory: Buffer.from("") },
      },
    ]);
    await store.write([
      { kind: "finish-intent", id: "w" },
      { kind: "delete-source", name: "sources/a" },
    ]);
    assert.deepEqual(await store.pendingIntents(), []);
    assert.deepEqual(await store.sources.list(), []);
    // What is not there can be forgotten as well.
    await store.sources.delete("sources/a");
    await store.write([{ kind: "finish-intent", id: "w" }]);
  });

  test("is told to listeners in order, and to the writer after that", async (t) => {
    const store = await (await place(t)).open();
    const told: string[] = [];
    const stop = store.events.subscribe((entries) => told.push(...authors(entries)));
    const writes = Array.from({ length: 50 }, (_, n) => store.events.append([event(`e${n}`)]));
    const last = store.write([{ kind: "append-events", events: [event("x"), event("y")] }]);
    await writes[20];
    assert.ok(told.includes("e20"));
    await last;
    assert.deepEqual(told, [...writes.map((_, n) => `e${n}`), "x,y"]);
    stop();
    await store.events.append([event("z")]);
    assert.equal(told.length, 51);
    // No events are no entry.
    await store.events.append([]);
    assert.equal(store.events.newest.seq, 53);
  });

  test("counts as written although a listener fails", async (t) => {
    const { open, logged } = await place(t);
    const store = await open();
    store.events.subscribe(() => {
      throw new Error("a defect");
    });
    await store.events.append([event("a")]);
    assert.deepEqual(store.health, { state: "available" });
    assert.ok(logged.some(({ level, msg }) => level === 50 && msg.includes("listener")));
  });

  test("is all or nothing, and a batch that contradicts leaves the others alone", async (t) => {
    const store = await (await place(t)).open();
    await store.write([{ kind: "append-revision", revision: revision(1, "abc") }]);
    const meta = (name: string) => ({ kind: "put-meta" as const, name, value: Buffer.from("v") });
    const events = { kind: "append-events" as const, events: [event("never")] };
    const contradictions = [
      { ...revision(2, "x"), parent: 0 },
      { ...revision(1, "x"), parent: 1 },
      revision(2, { edit: [2, 2, "beyond"] }),
      { ...revision(2, ""), files: [{ kind: "edits" as const, path: "/no/such", edits: [] }] },
    ];
    const refused = contradictions.map((wrong, n) =>
      assert.rejects(
        store.write([meta(`m${n}`), events, { kind: "append-revision", revision: wrong }]),
        Error,
      ),
    );
    const missing = store.write([
      meta("m"),
      { kind: "begin-intent", intent: { id: "w", time: 1, base: 9, former: [], data: Buffer.from("") } },
    ]);
    refused.push(assert.rejects(missing, /revisions\/9/));
    const good = store.write([meta("good"), { kind: "append-events", events: [event("good")] }]);
    await Promise.all([...refused, good]);
    assert.equal(store.newestRevision, 1);
    assert.deepEqual(store.events.newest, { seq: 1, revision: 0 });
    for (const name of ["m0", "m1", "m2", "m3", "m"]) assert.equal(await store.meta(name), undefined);
    assert.ok(await store.meta("good"));
    assert.deepEqual(store.health, { state: "available" });
  });
});

describe("history", () => {
  test("is listed in pages, by lane, and told by its differences", async (t) => {
    const store = await (await place(t)).open();
    await store.write([{ kind: "append-revision", revision: revision(1, "a\nb\nc\n") }]);
    await store.write([
      { kind: "append-revision", revision: { ...revision(2, { edit: [2, 2, "B\n"] }), lane: "discovery" } },
    ]);
    await store.write([
      {
        kind: "append-revision",
        revision: {
          ...revision(3, { edit: [6, 0, "d\n"] }),
          files: [
            ...revision(3, { edit: [6, 0, "d\n"] }).files,
            { kind: "content", path: "/etc/other.cfg", content: Buffer.from("new\n") },
          ],
        },
      },
    ]);
    const list = async (page: Parameters<Store["revisions"]["list"]>[0]) =>
      (await store.revisions.list(page)).map(({ number, parent }) => [number, parent]);
    assert.deepEqual(await list({ limit: 2 }), [
      [3, 2],
      [2, 1],
    ]);
    assert.deepEqual(await list({ limit: 2, before: 2 }), [[1, 0]]);
    assert.deepEqual(await list({ limit: 9, lanes: ["discovery", "runtime"] }), [[2, 1]]);
    assert.deepEqual(await list({ limit: 9, lanes: [] }), []);
    const told = (await store.revisions.diff(1, 3)).map(({ path, change, lines }) => [
      path,
      change,
      lines.map((line) => [
        line.beforeLine,
        Buffer.from(line.before).toString(),
        Buffer.from(line.after).toString(),
      ]),
    ]);
    assert.deepEqual(told, [
      [
        "/etc/haproxy/haproxy.cfg",
        "changed",
        [
          [2, "b\n", "B\n"],
          [4, "", "d\n"],
        ],
      ],
      ["/etc/other.cfg", "added", [[1, "", "new\n"]]],
    ]);
    const back = await store.revisions.diff(3, 1);
    assert.deepEqual(
      back.map(({ path, change }) => [path, change]),
      [
        ["/etc/haproxy/haproxy.cfg", "changed"],
        ["/etc/other.cfg", "removed"],
      ],
    );
    await assert.rejects(store.revisions.get(4), notFound);
    await assert.rejects(store.revisions.files(4), notFound);
    await assert.rejects(store.revisions.diff(1, 4), notFound);
    await assert.rejects(textOf(store, 4), notFound);
    await assert.rejects(store.revisions.read(1, "/etc/other.cfg")[Symbol.asyncIterator]().next(), notFound);
    await assert.rejects(store.reloads.get(1), notFound);
  });

  test("of a large file is read in pieces", async (t) => {
    const store = await (await place(t)).open();
    await store.write([{ kind: "append-revision", revision: revision(1, "x".repeat(200_000)) }]);
    const sizes: number[] = [];
    for await (const piece of store.revisions.read(1, "/etc/haproxy/haproxy.cfg")) sizes.push(piece.length);
    assert.deepEqual(sizes, [65_536, 65_536, 65_536, 3_392]);
  });

  test("is kept within its bounds by maintenance", async (t) => {
    const { open, clock } = await place(t);
    const store = await open({ eventBytes: 2_000, reloads: 3, revisions: 4 });
    for (let n = 1; n <= 10; n += 1) {
      await store.write([
        { kind: "append-revision", revision: { ...revision(n, `content ${n}`), time: clock.now() } },
        { kind: "append-events", events: Array.from({ length: 10 }, (_, i) => event(`e${n}-${i}`, n)) },
        {
          kind: "put-reload",
          reload: { number: n, state: "running", reasons: [], output: "", revision: n, startTime: 0 },
        },
      ]);
    }
    clock.advance(60_000);
    // The step is under way; a write that comes after it is answered after it.
    await store.events.append([event("after")]);
    await assert.rejects(store.revisions.get(1), notFound);
    assert.deepEqual(
      (await store.revisions.list({ limit: 99 })).map(({ number }) => number),
      [10, 9, 8, 7, 6],
    );
    assert.equal(await textOf(store, 6), "content 6");
    assert.deepEqual(
      (await store.reloads.list({ limit: 99 })).map(({ number }) => number),
      [10, 9, 8],
    );
    const { entries, oldest } = await store.events.read(0, { events: 1_000, bytes: 1e6 });
    const bytes = entries.flatMap((entry) => entry.events).reduce((sum, each) => sum + each.bytes.length, 0);
    assert.ok(bytes <= 2_000 + 400, `${bytes} bytes of events are kept`);
    assert.equal(store.events.oldest, oldest);
    assert.equal((entries[0]?.seq ?? 0) - 9, oldest, "whole entries are dropped");
    // By age everything goes but the newest.
    clock.advance(8 * 24 * 3_600_000);
    await store.events.append([event("newest")]);
    clock.advance(60_000);
    await store.events.append([event("one more")]);
    const young = await store.events.read(0, { events: 1_000, bytes: 1e6 });
    assert.deepEqual(authors(young.entries), ["newest", "one more"]);
    assert.equal(store.events.newest.seq, 103);
  });
});

describe("the state directory", () => {
  test("and all in it is its owner's alone", async (t) => {
    const { directory, open } = await place(t);
    const inner = join(directory, "deep", "er");
    const store = await openStore(inner, {
      clock: new ManualClock(),
      logger: pino({ level: "silent" }),
      pid: 1,
    });
    assert.equal((await stat(inner)).mode & 0o777, 0o700);
    for (const file of await readdir(inner)) {
      assert.equal((await stat(join(inner, file))).mode & 0o777, 0o600, file);
    }
    await store.close();
    await writeFile(join(directory, "haplane.db"), "");
    await chmod(join(directory, "haplane.db"), 0o644);
    await open();
    assert.equal((await stat(join(directory, "haplane.db"))).mode & 0o777, 0o600);
  });

  test("belongs to one haplane at a time", async (t) => {
    const { directory, open } = await place(t);
    const store = await open();
    await assert.rejects(open(), { reason: "STATE_LOCKED", metadata: { directory, pid: "4711" } });
    // Whoever asks does not loosen the lock.
    await assert.rejects(open(), { reason: "STATE_LOCKED" });
    await rm(join(directory, "haplane.pid"));
    await assert.rejects(open(), { reason: "STATE_LOCKED", metadata: { directory } });
    await store.close();
    await open();
  });

  test("that cannot be made is refused by its name", async (t) => {
    const { directory } = await place(t);
    const file = join(directory, "file");
    await writeFile(file, "");
    const options = { clock: new ManualClock(), logger: pino({ level: "silent" }), pid: 1 };
    await assert.rejects(openStore(join(file, "state"), options), {
      reason: "STORE_UNAVAILABLE",
      metadata: { directory: join(file, "state") },
    });
  });

  test("of a newer haplane, or of another program, is refused and left as it is", async (t) => {
    const { directory, open } = await place(t);
    await (await open()).close();
    const path = join(directory, "haplane.db");
    const change = (sql: string) => {
      const database = new DatabaseSync(path);
      database.exec(sql);
      database.close();
    };
    change("PRAGMA user_version = 1000");
    const before = await readFile(path);
    await assert.rejects(open(), {
      reason: "NOT_SUPPORTED",
      metadata: { found: "1000", known: String(MIGRATIONS.length), needs: "a newer haplane" },
    });
    assert.deepEqual(await readFile(path), before);
    const theirs = new DatabaseSync(":memory:");
    theirs.exec("CREATE TABLE theirs (x)");
    const foreign = theirs.serialize();
    theirs.close();
    await writeFile(path, foreign);
    await assert.rejects(open(), { reason: "NOT_SUPPORTED" });
    assert.deepEqual(await readFile(path), Buffer.from(foreign));
  });

  test("with a damaged database goes on with a new one, says so, and keeps the sources and the damaged file", async (t) => {
    const { directory, open, logged } = await place(t);
    const before = await open();
    await before.sources.put({ name: "sources/a", settings: Buffer.from("s"), memory: Buffer.from("m") });
    for (let n = 0; n < 300; n += 1) void before.events.append([event(`some-event-${n}`)]);
    await before.close();
    const path = join(directory, "haplane.db");
    const { size } = await stat(path);
    const file = await openFile(path, "r+");
    await file.write(Buffer.alloc(8_192, 0xee), 0, 8_192, Math.floor(size / 4_096 - 4) * 4_096);
    await file.close();

    const store = await open();
    assert.notEqual(store.epoch, before.epoch);
    assert.match(store.setAside ?? "", /haplane\.db\.damaged-20300101T000000Z$/);
    assert.equal((await stat(store.setAside ?? "")).size, size);
    assert.deepEqual(
      logged.map(({ level, msg }) => [level, msg.includes("damaged")]),
      [[50, true]],
    );
    assert.deepEqual(
      (await store.sources.list()).map(({ name }) => name),
      ["sources/a"],
    );
    assert.deepEqual(store.events.newest, { seq: 0, revision: 0 });
    await store.events.append([event("goes on")]);
    await store.close();
    assert.equal((await open()).setAside, undefined);
  });

  for (const [what, content] of [
    [
      "is no database at all",
      "this is not SQLite, but long enough to be looked at as if it were".repeat(100),
    ],
    ["is cut off", undefined],
  ] as const) {
    test(`with a file that ${what} goes on with a new one`, async (t) => {
      const { directory, open } = await place(t);
      const path = join(directory, "haplane.db");
      await (await open()).close();
      await writeFile(path, content ?? (await readFile(path)).subarray(0, 10_000));
      const store = await open();
      assert.ok(store.setAside);
      await store.events.append([event("goes on")]);
      // A second one of the same second has a name of its own.
      await store.close();
      await writeFile(path, "x".repeat(5_000));
      const again = await open();
      assert.notEqual(again.setAside, store.setAside);
    });
  }
});

describe("the threads", () => {
  test("a disk that stalls a write stops neither the event loop nor reading", async (t) => {
    const { directory, open } = await place(t);
    const store = await open();
    await store.events.append([event("before")]);
    // Whoever else holds the write lock makes the writing thread wait where a stalled fsync would.
    const other = new DatabaseSync(join(directory, "haplane.db"));
    other.exec("BEGIN IMMEDIATE");
    let written = false;
    const write = store.events.append([event("waits")]).then(() => {
      written = true;
    });
    const { entries } = await store.events.read(0, { events: 10, bytes: 1_000 });
    assert.deepEqual(authors(entries), ["before"]);
    for (let n = 0; n < 20; n += 1) assert.deepEqual(await store.sources.list(), []);
    assert.equal(written, false);
    other.exec("ROLLBACK");
    other.close();
    await write;
    assert.deepEqual(authors((await store.events.read(1, { events: 10, bytes: 1_000 })).entries), ["waits"]);
  });

  test("the death of the writing thread refuses every write and is told once and for all", async (t) => {
    const { open, logged } = await place(t);
    const started = threads(t);
    const store = await open();
    const [writer] = started;
    // From here on it answers nothing more, however fast it is, and this side has not heard of its end.
    const dying = writer?.terminate();
    const pending = store.events.append([event("in flight")]);
    await assert.rejects(pending, { reason: "STORE_UNAVAILABLE" });
    await dying;
    assert.match((await store.failed).message, /ended by itself/);
    await assert.rejects(store.events.append([event("later")]), { reason: "STORE_UNAVAILABLE" });
    assert.equal(store.health.state, "unavailable");
    assert.ok(logged.some(({ msg }) => msg.includes("has died")));
    // What is durable can still be read.
    assert.deepEqual(await store.sources.list(), []);
  });

  test("the reading thread is started again when it has died", async (t) => {
    const { open } = await place(t);
    const started = threads(t);
    const store = await open();
    assert.deepEqual(await store.sources.list(), []);
    const reader = started[1];
    // From here on it answers nothing more, however fast it is, and this side has not heard of its end.
    const dying = reader?.terminate();
    await assert.rejects(store.sources.list(), { reason: "STORE_UNAVAILABLE" });
    await dying;
    assert.deepEqual(await store.sources.list(), []);
  });

  test("a closed store refuses everything, and what was handed over before is durable", async (t) => {
    const { open } = await place(t);
    const store = await open();
    const writes = Array.from({ length: 20 }, (_, n) => store.events.append([event(`e${n}`)]));
    await Promise.all([store.close(), store.close(), ...writes]);
    await assert.rejects(store.events.append([event("late")]), { reason: "STORE_UNAVAILABLE" });
    await assert.rejects(store.sources.list(), { reason: "STORE_UNAVAILABLE" });
    assert.equal((await open()).events.newest.seq, 20);
  });
});

/** The threads that are started during a test, in order: the writing one, then the reading one. */
function threads(t: TestContext): Worker[] {
  const started: Worker[] = [];
  const note = (worker: Worker) => started.push(worker);
  process.on("worker", note);
  t.after(() => process.off("worker", note));
  return started;
}
