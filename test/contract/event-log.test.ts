import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { EventKind } from "../../gen/haplane/v1/events_pb.js";
import type { EventLog, LogEntry } from "../../src/events/event-log.ts";
import { ManualClock } from "../../src/lib/manual-clock.ts";
import { LOG_KINDS, type LogKind, type LogPlace } from "../support/event-logs.ts";
import { testEvent } from "../support/watch-world.ts";

/* What every event log does, the one in the store and the one in memory that other tests use in its place. */

const UNLIMITED = { events: 1_000, bytes: 1_000_000 };

const events = (revision: number, ...names: string[]) =>
  names.map((name) => testEvent(name, EventKind.SERVER, `servers/${name}`, revision));

const told = (entries: readonly LogEntry[]) =>
  entries.map(({ seq, revision, events: list }) => [
    seq,
    revision,
    list.map((event) => event.resource).join(),
  ]);

for (const kind of LOG_KINDS) {
  describe(`an event log ${kind.name}`, () => {
    test("numbers events without a gap, and entries by their last one", async (t) => {
      const { log } = await opened(t, kind);
      assert.deepEqual(log.newest, { seq: 0, revision: 0 });
      assert.equal(log.oldest, 1);
      await Promise.all([
        log.append(events(0, "a")),
        log.append(events(3, "b", "c")),
        log.append(events(0, "d")),
      ]);
      assert.deepEqual(log.newest, { seq: 4, revision: 3 });
      assert.equal(log.oldest, 1);
      const page = await log.read(0, UNLIMITED);
      assert.equal(page.oldest, 1);
      assert.deepEqual(told(page.entries), [
        [1, 0, "servers/a"],
        [3, 3, "servers/b,servers/c"],
        [4, 3, "servers/d"],
      ]);
    });

    test("an entry's revision is the newest among its events and before", async (t) => {
      const { log } = await opened(t, kind);
      await log.append([...events(0, "a"), ...events(7, "b"), ...events(0, "c")]);
      assert.deepEqual(told((await log.read(0, UNLIMITED)).entries), [
        [3, 7, "servers/a,servers/b,servers/c"],
      ]);
    });

    test("is read from any entry's end on", async (t) => {
      const { log } = await opened(t, kind);
      for (const name of ["a", "b", "c"]) await log.append(events(0, name, `${name}'`));
      const seqs = async (after: number) =>
        (await log.read(after, UNLIMITED)).entries.map((entry) => entry.seq);
      assert.deepEqual(await seqs(0), [2, 4, 6]);
      assert.deepEqual(await seqs(2), [4, 6]);
      assert.deepEqual(await seqs(6), []);
      assert.deepEqual(await seqs(100), []);
    });

    test("a page ends with an entry, at a limit of events or of bytes, and has at least one", async (t) => {
      const { log } = await opened(t, kind);
      await log.append(events(0, "a", "b", "c"));
      await log.append(events(0, "d"));
      await log.append(events(0, "e"));
      const seqs = async (limit: typeof UNLIMITED) =>
        (await log.read(0, limit)).entries.map((entry) => entry.seq);
      assert.deepEqual(await seqs({ events: 1, bytes: 1_000_000 }), [3]);
      assert.deepEqual(await seqs({ events: 4, bytes: 1_000_000 }), [3, 4]);
      assert.deepEqual(await seqs({ events: 1_000, bytes: 1 }), [3]);
      const size = (await log.read(0, UNLIMITED)).entries[0]?.events.reduce(
        (n, event) => n + event.bytes.length,
        0,
      );
      assert.deepEqual(await seqs({ events: 1_000, bytes: (size ?? 0) + 1 }), [3, 4]);
    });

    test("tells its listeners each entry once, in order, when it can be read and before its writer is answered", async (t) => {
      const { log } = await opened(t, kind);
      const heard: LogEntry[] = [];
      const stop = log.subscribe((entries) => {
        heard.push(...entries);
        assert.equal(log.newest.seq, entries.at(-1)?.seq);
      });
      const appends = ["a", "b", "c"].map((name) => log.append(events(0, name)));
      await appends[1];
      assert.ok(heard.some((entry) => entry.events[0]?.resource === "servers/b"));
      await Promise.all(appends);
      const { entries } = await log.read(0, UNLIMITED);
      assert.deepEqual(heard.map(plain), entries.map(plain));
      stop();
      await log.append(events(0, "d"));
      assert.equal(heard.length, 3);
    });

    test("goes on where it was when it is opened again", async (t) => {
      const { log, place, close } = await opened(t, kind);
      await log.append(events(5, "a", "b"));
      await close();
      const again = await place.open();
      t.after(() => again.close());
      assert.equal(again.log.epoch, log.epoch);
      assert.deepEqual(again.log.newest, { seq: 2, revision: 5 });
      await again.log.append(events(0, "c"));
      assert.deepEqual(told((await again.log.read(0, UNLIMITED)).entries), [
        [2, 5, "servers/a,servers/b"],
        [3, 5, "servers/c"],
      ]);
    });
  });
}

function plain({ seq, revision, events: list }: LogEntry) {
  return { seq, revision, events: list.map((event) => ({ ...event, bytes: Buffer.from(event.bytes) })) };
}

async function opened(
  t: TestContext,
  kind: LogKind,
): Promise<{ log: EventLog; place: LogPlace; close: () => Promise<void> }> {
  const place = await kind.create(new ManualClock());
  const { log, close } = await place.open();
  t.after(async () => {
    await close();
    await place.remove();
  });
  return { log, place, close };
}
