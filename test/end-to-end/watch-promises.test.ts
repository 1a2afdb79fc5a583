import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { EventKind } from "../../gen/haplane/v1/events_pb.js";
import { decodeCursor } from "../../src/events/cursor.ts";
import { createFilter } from "../../src/events/filter.ts";
import { DEFAULT_WATCH_LIMITS } from "../../src/events/watch-limits.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { freePort } from "../support/ports.ts";
import { preamble } from "../support/preamble.ts";
import { type ReadMessage, ResumingReader } from "../support/resuming-reader.ts";
import { readStoredLog, type StoredEntry } from "../support/stored-log.ts";
import { startUnixProxy, type UnixProxy } from "../support/unix-proxy.ts";
import { waitFor } from "../support/wait.ts";
import { adminHeaders, STACKS, type WatchStack } from "../support/watching.ts";

/*
 * The promises that haplane.v1.Events makes, each held for each kind of client against the log itself: random traffic to a haplane that is killed, stopped and started again, readers whose connections are cut
 * between messages and inside of them, and readers that stop reading until they are told to resume.
 */

const SEED = Number(process.env.HAPLANE_SEED ?? Date.now() % 1_000_000);

/** Servers of `many`, which all change at once to leave slow readers behind. */
const MANY = 2_000;
/** A reader that lacks this many events is ended. */
const { lag: LAG, tail: TAIL } = DEFAULT_WATCH_LIMITS;
/** What gRPC clients take unless they are told otherwise. */
const MAX_MESSAGE = 4 * 1024 * 1024;

type Write =
  | { readonly kind: "weigh"; readonly servers: readonly number[]; readonly weight: number }
  | { readonly kind: "transaction"; readonly server: number; readonly weight: number; readonly end: string }
  | { readonly kind: "store"; readonly file: number; readonly text: string }
  | { readonly kind: "refused"; readonly name: number };

const weight = fc.integer({ min: 1, max: 256 });
const write: fc.Arbitrary<Write> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("weigh" as const),
      servers: fc.uniqueArray(fc.nat(7), { minLength: 1, maxLength: 8 }),
      weight,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("transaction" as const),
      server: fc.nat(7),
      weight,
      end: fc.constantFrom("CommitTransaction", "AbortTransaction"),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("store" as const),
      file: fc.nat(2),
      text: fc.string({ maxLength: 50 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("refused" as const), name: fc.nat(9) }) },
);

const writes = fc.array(write, { minLength: 6, maxLength: 14 });
/** Each disturbance comes in the middle of writes of its own. */
const DISTURBANCES = ["cut", "cut in a message", "kill", "stop"] as const;
const story = fc.tuple(
  fc.shuffledSubarray([...DISTURBANCES], { minLength: DISTURBANCES.length }),
  fc.array(writes, { minLength: DISTURBANCES.length, maxLength: DISTURBANCES.length }),
);

/** What a reader watches, by a name for messages of failed tests. */
const WISHES = {
  changes: {
    kinds: [EventKind.SERVER, EventKind.REVISION, EventKind.TRANSACTION, EventKind.FILE],
    resourcePrefixes: ["backends/web/", "revisions/", "transactions/", "files/"],
  },
  servers: {
    kinds: [EventKind.SERVER],
    resourcePrefixes: ["backends/web/servers/s1", "backends/web/servers/s2"],
  },
  state: { resourcePrefixes: ["backends/web/"], includeCurrent: true },
  nothing: { resourcePrefixes: ["nothing/"] },
  slow: {},
} satisfies Readonly<Record<string, ResumingReader["wish"]>>;

type Readers = Readonly<Record<keyof typeof WISHES, ResumingReader>>;

describe(`a watch, with HAPLANE_SEED=${SEED}`, { concurrency: false }, () => {
  let haplane: TestHaplane;
  /** Where the readers connect to: proxies before haplane's sockets. */
  let front: { readonly dir: string; readonly headers: Record<string, string> };
  let proxies: readonly UnixProxy[];
  const readers = new Map<WatchStack, Readers>();
  /** Revisions that were answered to somebody. */
  const answered = new Set<number>();
  let epoch: string;
  let log: readonly StoredEntry[];
  /** Where the log ended when nothing more was written. */
  let end: number;
  let mostHeld = 0;

  before(async () => {
    const port = await freePort();
    const servers = (name: string, count: number) =>
      Array.from({ length: count }, (_, i) => `  server ${name}${i} 127.0.0.1:${port} weight 1`).join("\n");
    haplane = await startHaplane(
      (stats) => `${preamble(stats)}frontend www
  bind 127.0.0.1:${port}
  default_backend web
backend web
${servers("s", 8)}
backend many
${servers("m", MANY)}
`,
    );
    const dir = mkdtempSync(join(tmpdir(), "haplane-front-"));
    mkdirSync(join(dir, "state"));
    front = { dir, headers: adminHeaders(haplane.dir) };
    proxies = await Promise.all(
      ["grpc.sock", "connect.sock"].map((name) =>
        startUnixProxy(join(dir, "state", name), join(haplane.dir, "state", name)),
      ),
    );
    for (const stack of STACKS) {
      const reader = (name: keyof typeof WISHES) => new ResumingReader(front, stack, WISHES[name]);
      readers.set(stack, {
        ...{ changes: reader("changes"), servers: reader("servers"), state: reader("state") },
        ...{ nothing: reader("nothing"), slow: reader("slow") },
      });
    }
    await waitFor("all readers to begin", () => everyReader().every(({ cursor }) => cursor !== ""));
    await play();
    ({ epoch, entries: log } = storedLog());
    end = log.at(-1)?.seq ?? 0;
    await waitFor(
      "all readers to get to the end",
      () => everyReader().every(({ cursor }) => seqOf(cursor) >= end),
      { timeoutMs: 90_000 },
    );
    // Calls are audited a moment after their answer.
    ({ entries: log } = storedLog());
  });

  after(async () => {
    await Promise.all(everyReader().map((reader) => reader.close()));
    await Promise.all((proxies ?? []).map((proxy) => proxy.stop()));
    await haplane?.stop();
    rmSync(front?.dir ?? "", { recursive: true, force: true });
  });

  const storedLog = () => readStoredLog(join(haplane.dir, "state", "haplane.db"));
  const everyReader = () => [...readers.values()].flatMap((each) => Object.values(each));
  const ofKind = (name: keyof typeof WISHES) => [...readers.values()].map((each) => each[name]);
  const seqOf = (cursor: string) => decodeCursor(epoch, cursor).seq;

  async function play(): Promise<void> {
    const [[disturbances, chunks]] = fc.sample(story, { seed: SEED, numRuns: 1 }) as [
      [(typeof DISTURBANCES)[number][], Write[][]],
    ];
    for (const [i, disturbance] of disturbances.entries()) {
      if (i === disturbances.length / 2) await leaveSlowReadersBehind();
      const begun = Promise.withResolvers<void>();
      // Two writers at once.
      const lanes = [0, 1].map(async (lane) => {
        for (const [n, each] of (chunks[i] ?? []).entries()) {
          // What is under way when haplane goes may fail; whether it has happened is for the log to say.
          if (n % 2 === lane) await make(each).catch(() => {});
          begun.resolve();
        }
      });
      await begun.promise;
      await disturb(disturbance);
      await Promise.all(lanes);
    }
    await make({ kind: "weigh", servers: [1, 2], weight: 77 });
  }

  async function disturb(how: (typeof DISTURBANCES)[number]): Promise<void> {
    switch (how) {
      case "kill":
        return haplane.crash();
      case "stop":
        return haplane.restart();
      case "cut":
        for (const proxy of proxies) proxy.drop();
        return;
      case "cut in a message": {
        const busy = ofKind("changes");
        const known = busy.map(({ endings }) => endings.length);
        for (const proxy of proxies) proxy.mood = "half";
        await make({ kind: "weigh", servers: [0, 3, 6], weight: 5 });
        await make({ kind: "weigh", servers: [0, 3, 6], weight: 6 });
        await waitFor("the streams to be cut", () =>
          busy.every(({ endings }, i) => endings.length > (known[i] ?? 0)),
        );
        for (const proxy of proxies) proxy.mood = "pass";
        return;
      }
    }
  }

  async function make(each: Write): Promise<void> {
    const change = (server: string, value: number) => ({
      resource: { name: server, server: { weight: value } },
      updateMask: "weight",
    });
    const web = (server: number) => `backends/web/servers/s${server}`;
    switch (each.kind) {
      case "weigh": {
        const changes = each.servers.map((server) => ({ update: change(web(server), each.weight) }));
        await noted(haplane.call("haplane.v1.Configuration/Apply", { changes }));
        return;
      }
      case "transaction": {
        const { transaction } = await haplane.call<{ transaction: { name: string } }>(
          "haplane.v1.Configuration/BeginTransaction",
        );
        const options = { transaction: transaction.name };
        await haplane.call("haplane.v1.Configuration/Update", {
          ...change(web(each.server), each.weight),
          options,
        });
        await noted(haplane.call(`haplane.v1.Configuration/${each.end}`, { name: transaction.name }));
        return;
      }
      case "store": {
        const data = Buffer.from(each.text).toString("base64");
        const file = { kind: "FILE_KIND_GENERAL", storageName: `note-${each.file}.txt`, data };
        await haplane.call("haplane.v1.Storage/PutFile", file);
        return;
      }
      case "refused":
        await haplane.call("haplane.v1.Configuration/Delete", { name: `backends/no-${each.name}` });
    }
  }

  async function noted(call: Promise<unknown>): Promise<void> {
    const { revision } = (await call) as { revision?: string };
    if (revision !== undefined) answered.add(Number(revision));
  }

  /** Changes so much that readers who do not read are ended, and lets them go on then. */
  async function leaveSlowReadersBehind(): Promise<void> {
    const slow = ofKind("slow");
    for (const reader of slow) reader.pause();
    const sample = async (name: string) =>
      Number(new RegExp(`^${name} (\\S+)$`, "m").exec(await haplane.metrics())?.[1]);
    const ended = () => sample("haplane_watchers_ended_slow");
    const before = await ended();
    // Beyond the bound there is what lies on the way to a reader.
    for (let sent = 0; sent < 3 * LAG && (await ended()) - before < slow.length; sent += MANY) {
      const changes = Array.from({ length: MANY }, (_, i) => ({
        update: {
          resource: { name: `backends/many/servers/m${i}`, server: { weight: 1 + ((sent / MANY) % 256) } },
          updateMask: "weight",
        },
      }));
      await noted(haplane.call("haplane.v1.Configuration/Apply", { changes }));
      mostHeld = Math.max(mostHeld, await sample("haplane_watch_tail_bytes"));
    }
    assert.equal((await ended()) - before, slow.length, "readers that do not read are ended");
    for (const reader of slow) reader.go();
    await waitFor("them to be told", () =>
      slow.every(({ endings }) => endings.some((ending) => ending?.code === Code.ResourceExhausted)),
    );
  }

  /** What a reader is to have received: of each entry since its beginning, what its filter lets through. */
  function due({ wish, streams, cursor }: ResumingReader): string[][] {
    const begin = seqOf(streams.flat().find((message) => message.cursor !== "")?.cursor ?? "");
    return dueBetween(wish, begin, seqOf(cursor));
  }

  function dueBetween(
    { kinds = [], resourcePrefixes = [] }: ResumingReader["wish"],
    after: number,
    to: number,
  ) {
    const filter = createFilter(kinds, resourcePrefixes);
    return log
      .filter(({ seq }) => seq > after && seq <= to)
      .map(({ events }) => events.filter((event) => filter.matches(event)).map(({ digest }) => digest))
      .filter((entry) => entry.length > 0);
  }

  const PROMISES: Readonly<
    Record<string, (name: keyof typeof WISHES, reader: ResumingReader) => void | Promise<void>>
  > = {
    ordered(_, reader) {
      const place = new Map(log.flatMap(({ events }) => events).map(({ digest }, i) => [digest, i]));
      const places = received(reader).map((digest) => place.get(digest) ?? -1);
      assert.ok(places.every((at, i) => at > (places[i - 1] ?? -1)));
      const messages = deliveries(reader).map(({ message }) => message);
      for (const values of [
        messages.map(({ revision }) => revision),
        messages.map(({ cursor }) => seqOf(cursor)),
      ])
        assert.ok(values.every((value, i) => value >= (values[i - 1] ?? 0)));
    },

    unique(_, reader) {
      const all = received(reader);
      assert.equal(new Set(all).size, all.length);
      const current = reader.streams.flat().flatMap((message) => message.current);
      assert.equal(new Set(current).size, current.length);
    },

    atomic(_, reader) {
      const entries = due(reader);
      const entryOf = new Map(entries.flatMap((entry, i) => entry.map((digest) => [digest, i])));
      for (const { durable } of deliveries(reader)) {
        for (const [i, part] of Map.groupBy(durable, (digest) => entryOf.get(digest) ?? -1))
          assert.equal(part.length, entries[i]?.length, `only a part of entry ${i}`);
      }
    },

    reliable(name, reader) {
      const entries = due(reader);
      assert.deepEqual(received(reader), entries.flat());
      if (name === "nothing") return;
      assert.ok(entries.length > 0);
      if (name !== "changes") return;
      // What was answered to a client is durable, and has been told.
      const told = new Set(
        log
          .flatMap(({ events }) => events.filter(({ kind }) => kind === EventKind.REVISION))
          .map(({ revision }) => revision),
      );
      for (const revision of answered) assert.ok(told.has(revision), `revision ${revision} was not told`);
    },

    async resumable(name, reader) {
      assert.ok(reader.streams.length > 2, "it was cut off more than once");
      for (const [i, messages] of reader.streams.entries()) {
        const before = reader.streams
          .slice(0, i)
          .flat()
          .findLast(({ cursor }) => cursor !== "");
        const [first] = messages;
        if (before !== undefined && first !== undefined) assert.equal(first.cursor, before.cursor);
      }
      if (name !== "servers") return;
      // From any cursor it comes to the same end again.
      const all = deliveries(reader);
      const from = [0, 0.25, 0.5, 0.75, 1].map((share) => Math.floor(share * (all.length - 1)));
      await Promise.all(
        from.map(async (at) => {
          const again = new ResumingReader(front, reader.stack, reader.wish, all[at]?.message.cursor);
          const rest = all.slice(at + 1).flatMap(({ durable }) => durable);
          await waitFor(
            "the rest to come again",
            () => received(again).length >= rest.length && again.streams.flat().length > 0,
          );
          assert.deepEqual(received(again), rest);
          await again.close();
        }),
      );
    },

    bookmarkable(name, reader) {
      for (const messages of reader.streams) {
        const first = messages.find(({ partial }) => !partial);
        if (first !== undefined) assert.ok(first.bookmark, "a stream begins with a bookmark");
        for (const { bookmark, cursor, durable, current } of messages)
          if (bookmark) assert.ok(cursor !== "" && durable.length + current.length === 0);
      }
      if (name !== "nothing") return;
      // It got to the end of the log, by bookmarks alone.
      assert.ok(reader.streams.flat().every(({ bookmark }) => bookmark));
      assert.ok(seqOf(reader.cursor) >= end);
    },

    bounded(name, reader) {
      for (const { bytes } of reader.streams.flat()) assert.ok(bytes < MAX_MESSAGE);
      assert.ok(mostHeld <= TAIL.bytes, `${mostHeld} bytes were held for slow readers`);
      const told = reader.endings.filter((ending) => ending?.code === Code.ResourceExhausted);
      assert.equal(told.length, name === "slow" ? 1 : 0);
      for (const ending of told) assert.equal(ending?.findDetails(RetryInfoSchema).length, 1);
      // No stream is over without a word, and none was told that something is lost.
      for (const ending of reader.endings) assert.ok(ending !== undefined && ending.code !== Code.OutOfRange);
    },
  };

  for (const stack of STACKS)
    for (const [promise, look] of Object.entries(PROMISES))
      test(`is ${promise}: ${stack}`, async () => {
        for (const [name, reader] of Object.entries(readers.get(stack) ?? assert.fail("no readers")))
          await look(name as keyof typeof WISHES, reader);
      });
});

/** What came in one message, or in several of which all but the last say that they are a part. */
interface Delivery {
  readonly durable: readonly string[];
  readonly message: ReadMessage;
}

/** Complete deliveries of a reader, over all its streams; what a stream's end cut off comes again on the next one. */
function deliveries(reader: ResumingReader): Delivery[] {
  return reader.streams.flatMap((messages) => {
    const complete: Delivery[] = [];
    let durable: string[] = [];
    for (const message of messages) {
      durable = durable.length === 0 ? [...message.durable] : [...durable, ...message.durable];
      if (message.partial) continue;
      complete.push({ durable, message });
      durable = [];
    }
    return complete;
  });
}

/** Digests of the durable events that a reader received, in order. */
function received(reader: ResumingReader): string[] {
  return deliveries(reader).flatMap(({ durable }) => durable);
}
