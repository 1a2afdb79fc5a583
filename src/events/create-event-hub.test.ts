import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Event, EventKind, EventSchema, EventType } from "../../gen/haplane/v1/events_pb.js";
import { DomainError, type ErrorReason } from "../lib/errors.ts";
import { ManualClock } from "../lib/manual-clock.ts";
import { createEventHub } from "./create-event-hub.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import type { EventHub, WatchOptions } from "./event-hub.ts";
import type { EventLog, LogEntry, LoggedEvent, LogPage, LogPosition } from "./event-log.ts";
import { DEFAULT_WATCH_LIMITS, type WatchLimits } from "./watch-limits.ts";
import type { WatchMessage } from "./watch-message.ts";

const EPOCH = "this-epoch";

/** A log that does what the test says: entries are told and reads are answered by hand. */
class ScriptedLog implements EventLog {
  readonly epoch = EPOCH;
  newest: LogPosition;
  oldest: number;
  readonly kept: LogEntry[] = [];
  readonly reads: (PromiseWithResolvers<LogPage> & { readonly after: number })[] = [];
  listeners = 0;
  #listener: (entries: readonly LogEntry[]) => void = () => {};

  constructor({ seq = 0, oldest = 1 } = {}) {
    this.newest = { seq, revision: seq };
    this.oldest = oldest;
  }

  append(): Promise<void> {
    return Promise.reject(new Error("not in this test"));
  }

  read(after: number): Promise<LogPage> {
    const read = { after, ...Promise.withResolvers<LogPage>() };
    this.reads.push(read);
    return read.promise;
  }

  subscribe(listener: (entries: readonly LogEntry[]) => void): () => void {
    this.#listener = listener;
    this.listeners += 1;
    return () => {
      this.listeners -= 1;
    };
  }

  /** Makes an entry of these resources' events, as if it had been written. */
  write(...resources: string[]): LogEntry {
    const last = this.kept.at(-1) ?? this.newest;
    const entry = {
      seq: last.seq + resources.length,
      revision: last.revision + 1,
      events: resources.map((resource) => ({
        kind: EventKind.SERVER,
        resource,
        bytes: toBinary(EventSchema, event(resource)),
      })),
    };
    this.kept.push(entry);
    return entry;
  }

  /** Tells the listener. */
  tell(...entries: LogEntry[]): void {
    const last = entries.at(-1);
    if (last !== undefined) this.newest = { seq: last.seq, revision: last.revision };
    this.#listener(entries);
  }

  /** Answers the oldest open read with what was written after its place. */
  answer(): void {
    const read = this.reads.shift();
    assert.ok(read, "no read is open");
    read.resolve({ entries: this.kept.filter((entry) => entry.seq > read.after), oldest: this.oldest });
  }
}

function event(resource: string, kind = EventKind.SERVER): Event {
  return create(EventSchema, { kind, type: EventType.UPDATED, resource });
}

function logged(resource: string): LoggedEvent {
  return { kind: EventKind.SERVER, resource, bytes: toBinary(EventSchema, event(resource)) };
}

interface Scene {
  readonly log: ScriptedLog;
  readonly hub: EventHub;
  readonly clock: ManualClock;
  watch(options?: Partial<WatchOptions>): AsyncIterableIterator<WatchMessage>;
}

function scene({
  limits = {},
  ...log
}: {
  limits?: Partial<WatchLimits>;
  seq?: number;
  oldest?: number;
} = {}): Scene {
  const clock = new ManualClock();
  const scripted = new ScriptedLog(log);
  const hub = createEventHub({ log: scripted, clock, limits: { ...DEFAULT_WATCH_LIMITS, ...limits } });
  const watch = (options: Partial<WatchOptions> = {}) =>
    hub.watch({
      cursor: "",
      kinds: [],
      resourcePrefixes: [],
      includeCurrent: false,
      signal: new AbortController().signal,
      current: () => [],
      ...options,
    });
  return { log: scripted, hub, clock, watch };
}

/** The next message, told in short: its resources, and where its cursor is. */
async function next(watch: AsyncIterator<WatchMessage>) {
  const { value, done } = await watch.next();
  if (done) return "done";
  const { events, cursor, bookmark, partial } = (value as WatchMessage).message;
  return {
    ...(bookmark ? { bookmark } : {}),
    ...(partial ? { partial } : {}),
    ...(events.length > 0 ? { events: events.map((each) => each.resource) } : {}),
    ...(cursor === "" ? {} : { seq: decodeCursor(EPOCH, cursor).seq }),
  };
}

const failsWith =
  (reason: ErrorReason, metadata: Record<string, string> = {}) =>
  (error: unknown) => {
    assert.ok(error instanceof DomainError);
    assert.equal(error.reason, reason);
    for (const [key, value] of Object.entries(metadata)) assert.equal(error.metadata[key], value);
    return true;
  };

describe("the beginning of a watch", () => {
  test("a bookmark comes at once", async () => {
    const { watch } = scene({ seq: 7 });
    assert.deepEqual(await next(watch()), { bookmark: true, seq: 7 });
  });

  test("with include_current, the present state comes first and no change falls between", async () => {
    const { watch, log, hub } = scene({ seq: 7 });
    const stream = watch({ includeCurrent: true, current: () => [logged("a"), logged("b")] });
    log.tell(log.write("c"));
    hub.publishEphemeral([event("d")]);
    assert.deepEqual(await next(stream), { partial: true, events: ["a", "b"] });
    assert.deepEqual(await next(stream), { bookmark: true, seq: 7 });
    assert.deepEqual(await next(stream), { events: ["c", "d"], seq: 8 });
  });

  test("the present state is filtered, and divided when it is large", async () => {
    const { watch } = scene({ limits: { messages: { joinBytes: 16, maxBytes: 100 } } });
    const current = () => ["web/1", "api/1", "web/2", "web/3"].map(logged);
    const stream = watch({ includeCurrent: true, resourcePrefixes: ["web/"], current });
    assert.deepEqual(await next(stream), { partial: true, events: ["web/1"] });
    assert.deepEqual(await next(stream), { partial: true, events: ["web/2"] });
    assert.deepEqual(await next(stream), { partial: true, events: ["web/3"] });
    assert.deepEqual(await next(stream), { bookmark: true, seq: 0 });
  });

  const cursor = (seq: number, epoch = EPOCH) => encodeCursor(epoch, { seq, revision: 0 });
  const refusals: [string, Partial<WatchOptions>, ErrorReason, Record<string, string>?][] = [
    ["a cursor of another epoch", { cursor: cursor(5, "another") }, "CURSOR_FOREIGN"],
    ["a cursor of the future", { cursor: cursor(11) }, "CURSOR_FOREIGN"],
    ["a cursor that is none", { cursor: "!" }, "CURSOR_FOREIGN"],
    ["a cursor that is padded", { cursor: `${cursor(5)}==` }, "CURSOR_FOREIGN"],
    ["a cursor that is cut off", { cursor: cursor(300).slice(0, 3) }, "CURSOR_FOREIGN"],
    ["a cursor that is endless", { cursor: "_".repeat(100_000) }, "CURSOR_FOREIGN"],
    ["a cursor that is too old", { cursor: cursor(2) }, "CURSOR_EXPIRED", { oldestCursor: cursor(3) }],
    ["a kind that does not exist", { kinds: [99 as EventKind] }, "FIELD_INVALID"],
    ["the kind that is never sent", { kinds: [EventKind.UNSPECIFIED] }, "FIELD_INVALID"],
    ["too many prefixes", { resourcePrefixes: Array(101).fill("a") }, "FIELD_INVALID"],
    ["a prefix that is too long", { resourcePrefixes: ["a".repeat(1_025)] }, "FIELD_INVALID"],
    ["the present state and a cursor", { includeCurrent: true, cursor: cursor(5) }, "FIELD_INVALID"],
  ];
  for (const [what, options, reason, metadata] of refusals) {
    test(`${what} is refused`, async () => {
      const { watch, hub } = scene({ seq: 10, oldest: 4 });
      const stream = watch(options);
      await assert.rejects(next(stream), failsWith(reason, metadata));
      assert.equal(await next(stream), "done");
      assert.equal(hub.counters.watchers, 0);
    });
  }

  test("the oldest cursor that an error names can be resumed from", async () => {
    const { watch, log } = scene({ seq: 10, oldest: 4 });
    const error: unknown = await next(watch({ cursor: cursor(0) })).catch((thrown) => thrown);
    assert.ok(error instanceof DomainError);
    const stream = watch({ cursor: error.metadata.oldestCursor ?? "" });
    assert.deepEqual(await next(stream), { bookmark: true, seq: 3 });
    const parked = next(stream);
    assert.equal(log.reads[0]?.after, 3);
    log.kept.push({ seq: 10, revision: 1, events: [] });
    log.answer();
    log.tell(log.write("x"));
    assert.deepEqual(await parked, { events: ["x"], seq: 11 });
  });

  test("one watch more than the limit is refused, until another ends", async () => {
    const { watch, hub } = scene({ limits: { watchers: 2 } });
    const first = watch();
    watch();
    await assert.rejects(next(watch()), failsWith("LIMIT_EXCEEDED", { limit: "max_watchers" }));
    await first.return?.();
    assert.deepEqual(await next(watch()), { bookmark: true, seq: 0 });
    assert.equal(hub.counters.watchers, 2);
  });
});

describe("what happens", () => {
  test("a parked reader is handed an ephemeral event before publishing returns", async () => {
    const { watch, hub } = scene();
    const stream = watch();
    await next(stream);
    const parked = next(stream);
    hub.publishEphemeral([event("a")]);
    // Nothing is left to be done by the hub: the read was settled on the spot.
    assert.equal(hub.counters.messages, 2);
    assert.deepEqual(await parked, { events: ["a"], seq: 0 });
  });

  test("an ephemeral event says so, and is not kept", async () => {
    const { watch, hub } = scene();
    const stream = watch();
    await next(stream);
    hub.publishEphemeral([event("a")]);
    const { value } = await stream.next();
    assert.equal(value.message.events[0].ephemeral, true);
    const late = watch();
    await next(late);
    hub.publishEphemeral([event("b")]);
    assert.deepEqual(await next(late), { events: ["b"], seq: 0 });
  });

  test("everybody with the same filter gets the same bytes", async () => {
    const { watch, log } = scene();
    const streams = [watch(), watch({ resourcePrefixes: [""] }), watch({ kinds: [EventKind.SERVER] })];
    for (const stream of streams) await next(stream);
    const parked = streams.map((stream) => stream.next());
    log.tell(log.write("a"));
    const [one, same, other] = (await Promise.all(parked)).map(({ value }) => value as WatchMessage);
    assert.equal(one, same);
    assert.notEqual(one, other);
    assert.deepEqual(one?.message, other?.message);
  });

  test("what comes while the reader is away is joined, up to a size", async () => {
    const { watch, log } = scene({ limits: { messages: { joinBytes: 20, maxBytes: 100 } } });
    const stream = watch();
    await next(stream);
    for (const resource of ["a", "b", "c", "d", "e"]) log.tell(log.write(resource));
    assert.deepEqual(await next(stream), { events: ["a"], seq: 1 });
    assert.deepEqual(await next(stream), { events: ["b", "c"], seq: 3 });
    assert.deepEqual(await next(stream), { events: ["d", "e"], seq: 5 });
  });

  test("an entry too large for a message comes in parts, of which only the last may be resumed from", async () => {
    const { watch, log } = scene({ limits: { messages: { joinBytes: 10, maxBytes: 25 } } });
    const stream = watch();
    await next(stream);
    log.tell(log.write("a", "b", "c", "d", "e"));
    assert.deepEqual(await next(stream), { partial: true, events: ["a", "b", "c"] });
    assert.deepEqual(await next(stream), { events: ["d", "e"], seq: 5 });
  });
});

describe("a reader that is behind", () => {
  const small = { tail: { bytes: 10_000, entries: 3 } };

  test("is fed from the log when the tail has gone on without it", async () => {
    const { watch, log, hub } = scene({ limits: small });
    const stream = watch();
    await next(stream);
    for (const resource of ["a", "b", "c", "d", "e"]) log.tell(log.write(resource));
    assert.equal(hub.counters.lagging, 1);
    assert.deepEqual(await next(stream), { events: ["a"], seq: 1 });
    const parked = next(stream);
    log.answer();
    assert.deepEqual(await parked, { events: ["b", "c", "d", "e"], seq: 5 });
    const live = next(stream);
    assert.equal(hub.counters.lagging, 0);
    log.tell(log.write("f"));
    assert.deepEqual(await live, { events: ["f"], seq: 6 });
    assert.equal(log.reads.length, 0);
  });

  test("does not get twice what the log had before the hub", async () => {
    const { watch, log } = scene({ seq: 1, oldest: 1, limits: small });
    log.kept.push({ ...log.write("x"), seq: 1 });
    log.kept.shift();
    const stream = watch({ cursor: encodeCursor(EPOCH, { seq: 0, revision: 0 }) });
    await next(stream);
    const parked = next(stream);
    const unknown = log.write("y");
    log.answer();
    assert.deepEqual(await parked, { events: ["x"], seq: 1 });
    const live = next(stream);
    log.tell(unknown);
    assert.deepEqual(await live, { events: ["y"], seq: 2 });
  });

  test("gets ephemeral events although it is catching up, and its cursor never goes back", async () => {
    const { watch, log, hub } = scene({ seq: 1, oldest: 1 });
    log.kept.push({ ...log.write("x"), seq: 1 });
    log.kept.shift();
    const stream = watch({ cursor: encodeCursor(EPOCH, { seq: 0, revision: 0 }) });
    await next(stream);
    const first = next(stream);
    hub.publishEphemeral([event("e1")]);
    assert.deepEqual(await first, { events: ["e1"], seq: 0 });
    // Two more: one waits for its reader, one behind it in the tail, while the log is still being read.
    hub.publishEphemeral([event("e2")]);
    hub.publishEphemeral([event("e3")]);
    log.tell(log.write("y"));
    log.answer();
    await turn();
    const seen = [await next(stream), await next(stream), await next(stream)];
    assert.deepEqual(seen, [
      { events: ["e2"], seq: 0 },
      { events: ["x", "y"], seq: 2 },
      { events: ["e3"], seq: 2 },
    ]);
  });

  test("is ended when ephemeral events that it wants are lost to it, and only then", async () => {
    const { watch, hub } = scene({ limits: small });
    const wants = watch({ resourcePrefixes: ["a"] });
    const other = watch({ resourcePrefixes: ["b"] });
    for (let n = 0; n < 4; n += 1) hub.publishEphemeral([event(`a${n}`)]);
    assert.equal(hub.counters.endedSlow, 1);
    // What waited for it comes first.
    assert.deepEqual(await next(wants), { bookmark: true, seq: 0 });
    await assert.rejects(next(wants), failsWith("LIMIT_EXCEEDED"));
    assert.equal(await next(wants), "done");
    assert.deepEqual(await next(other), { bookmark: true, seq: 0 });
  });

  test("is ended when it is too many events behind; what it lacked at the beginning does not count", async () => {
    const { watch, log, hub } = scene({ seq: 100, oldest: 1, limits: { ...small, lag: 10 } });
    const slow = watch();
    const resumed = watch({ cursor: encodeCursor(EPOCH, { seq: 50, revision: 0 }) });
    await next(slow);
    for (let n = 0; n < 10; n += 1) log.tell(log.write(`r${n}`));
    assert.equal(hub.counters.endedSlow, 0);
    // The first of them waits for the slow one, so it is one less behind than the other.
    log.tell(log.write("one more"));
    assert.equal(hub.counters.endedSlow, 1);
    log.tell(log.write("and another"));
    assert.equal(hub.counters.endedSlow, 2);
    assert.deepEqual(await next(slow), { events: ["r0"], seq: 101 });
    await assert.rejects(next(slow), failsWith("LIMIT_EXCEEDED"));
    assert.deepEqual(await next(resumed), { bookmark: true, seq: 50 });
    await assert.rejects(next(resumed), failsWith("LIMIT_EXCEEDED"));
  });

  test("is ended when retention has overtaken it", async () => {
    const { watch, log } = scene({ limits: small });
    const stream = watch();
    await next(stream);
    for (const resource of ["a", "b", "c", "d", "e"]) log.tell(log.write(resource));
    assert.deepEqual(await next(stream), { events: ["a"], seq: 1 });
    const parked = next(stream);
    log.oldest = 4;
    log.answer();
    await assert.rejects(parked, failsWith("LIMIT_EXCEEDED"));
  });

  test("is told that its cursor has expired when retention was quicker than its first read", async () => {
    const { watch, log } = scene({ seq: 10, oldest: 4 });
    const stream = watch({ cursor: encodeCursor(EPOCH, { seq: 3, revision: 0 }) });
    await next(stream);
    const parked = next(stream);
    log.oldest = 6;
    log.answer();
    const oldestCursor = encodeCursor(EPOCH, { seq: 5, revision: 0 });
    await assert.rejects(parked, failsWith("CURSOR_EXPIRED", { oldestCursor }));
  });

  test("ends with the log's error when the log cannot be read", async () => {
    const { watch, log, hub } = scene({ seq: 10 });
    const stream = watch({ cursor: encodeCursor(EPOCH, { seq: 3, revision: 0 }) });
    await next(stream);
    const parked = next(stream);
    log.reads[0]?.reject(new DomainError("STORE_UNAVAILABLE", "The disk fails."));
    await assert.rejects(parked, failsWith("STORE_UNAVAILABLE"));
    assert.equal(hub.counters.watchers, 0);
  });

  test("a thousand of them cost no more than the tail", () => {
    const tail = { bytes: 50_000, entries: 1_000 };
    const { watch, log, hub } = scene({ limits: { tail } });
    for (let n = 0; n < 1_000; n += 1) watch();
    for (let n = 0; n < 5_000; n += 1) log.tell(log.write(`backends/web/servers/s${n}`));
    assert.equal(hub.counters.lagging, 1_000);
    assert.ok(hub.counters.tailBytes <= tail.bytes);
  });
});

describe("the end of a watch", () => {
  const cases: [string, (stream: AsyncIterator<WatchMessage>, abort: AbortController) => unknown][] = [
    ["by its signal", (_, abort) => abort.abort()],
    ["by leaving the loop", (stream) => stream.return?.()],
  ];
  for (const [how, end] of cases) {
    test(`${how} frees everything at once, also when it is parked`, async () => {
      const { watch, hub, log, clock } = scene();
      const abort = new AbortController();
      const stream = watch({ signal: abort.signal });
      await next(stream);
      const parked = next(stream);
      end(stream, abort);
      assert.equal(hub.counters.watchers, 0);
      assert.equal(hub.counters.lagging, 0);
      assert.equal(clock.pending, 0);
      assert.equal(await parked, "done");
      log.tell(log.write("a"));
      assert.equal(await next(stream), "done");
    });

    test(`${how} frees everything at once, also when the log is being read`, async () => {
      const { watch, hub, log } = scene({ seq: 10 });
      const abort = new AbortController();
      const stream = watch({ cursor: encodeCursor(EPOCH, { seq: 3, revision: 0 }), signal: abort.signal });
      await next(stream);
      const parked = next(stream);
      end(stream, abort);
      assert.equal(hub.counters.watchers, 0);
      assert.equal(await parked, "done");
      log.answer();
      await turn();
      assert.equal(await next(stream), "done");
    });
  }

  test("a watch whose signal has aborted already never begins", async () => {
    const { watch, hub } = scene();
    assert.equal(await next(watch({ signal: AbortSignal.abort() })), "done");
    assert.equal(hub.counters.watchers, 0);
  });

  test("closing the hub ends all watches and lets go of the log", async () => {
    const { watch, hub, log, clock } = scene();
    const [parkedStream, idle] = [watch(), watch()];
    await next(parkedStream);
    const parked = next(parkedStream);
    hub.close();
    await assert.rejects(parked, failsWith("SHUTTING_DOWN"));
    assert.deepEqual(await next(idle), { bookmark: true, seq: 0 });
    await assert.rejects(next(idle), failsWith("SHUTTING_DOWN"));
    await assert.rejects(next(watch()), failsWith("SHUTTING_DOWN"));
    assert.equal(log.listeners, 0);
    assert.equal(clock.pending, 0);
  });
});

describe("an idle watch", () => {
  test("gets a bookmark within the time, over and over, with the newest cursor", async () => {
    const { watch, log, clock } = scene();
    const stream = watch({ resourcePrefixes: ["nothing"] });
    await next(stream);
    let parked = next(stream);
    log.tell(log.write("a"));
    for (let n = 0; n < 3; n += 1) {
      clock.advance(30_000);
      assert.deepEqual(await parked, { bookmark: true, seq: 1 });
      parked = next(stream);
    }
  });

  test("that is not idle gets none, and one that does not read gets only one", async () => {
    const { watch, log, clock, hub } = scene();
    const busy = watch();
    watch();
    await next(busy);
    for (let n = 0; n < 20; n += 1) {
      const parked = next(busy);
      clock.advance(10_000);
      log.tell(log.write("a"));
      assert.deepEqual(await parked, { events: ["a"], seq: n + 1 });
    }
    // Two first bookmarks, and twenty events for one reader.
    assert.equal(hub.counters.messages, 22);
  });
});

describe("without watchers", () => {
  test("nothing is held, and who resumes finds what happened in the log", async () => {
    const { watch, log, hub } = scene();
    const end = new AbortController();
    const before = watch({ signal: end.signal });
    await next(before);
    // It does not read, so this is held for it.
    for (const resource of ["a", "b", "c"]) log.tell(log.write(resource));
    assert.ok(hub.counters.tailBytes > 0);
    end.abort();
    assert.equal(hub.counters.tailBytes, 0);
    log.tell(log.write("d"));
    hub.publishEphemeral([event("e")]);
    assert.equal(hub.counters.tailBytes, 0);
    const resumed = watch({ cursor: encodeCursor(EPOCH, { seq: 1, revision: 1 }) });
    assert.deepEqual(await next(resumed), { bookmark: true, seq: 1 });
    const parked = next(resumed);
    log.answer();
    assert.deepEqual(await parked, { events: ["b", "c", "d"], seq: 4 });
    const live = next(resumed);
    log.tell(log.write("f"));
    assert.deepEqual(await live, { events: ["f"], seq: 5 });
  });
});

describe("the demand for a kind", () => {
  test("begins with the first watch that lets it through, and ends with the last", async () => {
    const { hub, watch } = scene();
    const told: boolean[] = [];
    const leave = hub.subscribeDemand(EventKind.SERVER_STATUS, (isWanted) => told.push(isWanted));
    const open = async (...kinds: EventKind[]) => {
      const end = new AbortController();
      await next(watch({ kinds, signal: end.signal }));
      return end;
    };
    const other = await open(EventKind.SERVER);
    assert.deepEqual(told, []);
    const first = await open(EventKind.SERVER_STATUS);
    const all = await open();
    assert.deepEqual(told, [true]);
    first.abort();
    other.abort();
    assert.deepEqual(told, [true]);
    all.abort();
    assert.deepEqual(told, [true, false]);
    leave();
    await open();
    assert.deepEqual(told, [true, false]);
  });

  test("of a watch that is open already is told at once", async () => {
    const { hub, watch } = scene();
    await next(watch());
    const told: boolean[] = [];
    hub.subscribeDemand(EventKind.SERVER_STATUS, (isWanted) => told.push(isWanted));
    assert.deepEqual(told, [true]);
  });
});
