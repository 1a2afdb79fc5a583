import assert from "node:assert/strict";
import { test } from "node:test";
import { toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  type Event,
  EventKind,
  EventType,
  type WatchResponse,
  WatchResponseSchema,
} from "../../gen/haplane/v1/events_pb.js";
import { createFilter } from "../../src/events/filter.ts";
import { LOG_KINDS, type LogKind } from "../support/event-logs.ts";
import { EVERYTHING, Reader, TIGHT_LIMITS, WatchWorld, type Wish } from "../support/watch-world.ts";

/*
 * The promises that haplane.v1.Events makes, each held against what readers saw of random traffic: entries small and too large for a message, ephemeral events
 * between them, readers that stop reading, go away and come back with their last cursor, and haplane stopped and started over the same log.
 */

const RESOURCES = [
  "backends/web/servers/a",
  "backends/web/servers/b",
  "backends/api/servers/a",
  "sources/local",
];
const KINDS = [EventKind.SERVER, EventKind.SOURCE];

const wish: fc.Arbitrary<Wish> = fc.record({
  kinds: fc.oneof(fc.constant([]), fc.constant([EventKind.SERVER]), fc.constant([EventKind.RELOAD])),
  resourcePrefixes: fc.oneof(
    fc.constant([]),
    fc.constant(["backends/web/"]),
    fc.constant(["sources/", "backends/api/"]),
  ),
  includeCurrent: fc.boolean(),
});

type Step =
  | {
      readonly kind: "publish";
      readonly resources: readonly string[];
      readonly of: EventKind;
      readonly await: boolean;
    }
  | { readonly kind: "ephemeral"; readonly resource: string }
  | { readonly kind: "join"; readonly wish: Wish }
  | { readonly kind: "take"; readonly reader: number; readonly count: number }
  | { readonly kind: "resume"; readonly reader: number }
  | { readonly kind: "idle" }
  | { readonly kind: "restart" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant("publish" as const),
      // Twelve events are more than one message may hold under the tight limits.
      resources: fc.oneof(
        { weight: 8, arbitrary: fc.array(fc.constantFrom(...RESOURCES), { minLength: 1, maxLength: 4 }) },
        { weight: 1, arbitrary: fc.array(fc.constantFrom(...RESOURCES), { minLength: 12, maxLength: 20 }) },
      ),
      of: fc.constantFrom(...KINDS),
      await: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("ephemeral" as const),
      resource: fc.constantFrom(...RESOURCES),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("join" as const), wish }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("take" as const),
      reader: fc.nat(9),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("resume" as const), reader: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "idle" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "restart" as const }) },
);

const traffic = fc.array(step, { minLength: 10, maxLength: 60 });

/** What happened, and what each reader saw of it. */
interface Outcome {
  readonly world: WatchWorld;
  readonly readers: readonly Reader[];
}

async function play(
  kind: LogKind,
  steps: readonly Step[],
  look: (outcome: Outcome) => void | Promise<void>,
): Promise<void> {
  const world = await WatchWorld.start(kind);
  const readers = [new Reader(world, EVERYTHING)];
  const pick = (n: number) => readers[n % readers.length] as Reader;
  try {
    for (const each of steps) {
      switch (each.kind) {
        case "publish": {
          const published = world.publish(each.resources, each.of);
          if (each.await) await published;
          break;
        }
        case "ephemeral":
          world.publishEphemeral(each.resource);
          break;
        case "join":
          if (readers.length < 10) readers.push(new Reader(world, each.wish));
          break;
        case "take":
          await pick(each.reader).take(each.count);
          break;
        case "resume":
          await pick(each.reader).resume();
          break;
        case "idle":
          world.clock.advance(30_000);
          break;
        case "restart":
          // What is not durable yet is nobody's promise: wait for it.
          await world.settled();
          await world.restart();
          for (const reader of readers) await reader.resume();
          break;
      }
    }
    await world.settled();
    for (const reader of readers) await reader.readToEnd();
    await look({ world, readers });
  } finally {
    for (const reader of readers) await reader.close();
    await world.stop();
  }
}

/** What came in one message, or in several of which all but the last say that they are a part. */
interface Delivery {
  readonly events: readonly Event[];
  readonly message: WatchResponse;
}

/** Complete deliveries of a reader, over all its streams; what a stream's end cut off comes again on the next one. */
function deliveries(reader: Reader): Delivery[] {
  return reader.streams.flatMap((messages) => {
    const complete: Delivery[] = [];
    let events: Event[] = [];
    for (const message of messages) {
      events.push(...message.events);
      if (message.partial) continue;
      complete.push({ events, message });
      events = [];
    }
    return complete;
  });
}

const isDurable = (event: Event) => !event.ephemeral && event.type !== EventType.CURRENT;
const ids = (events: readonly Event[]) => events.map((event) => event.author);

/** Ids of the durable events that a reader received. */
function received(reader: Reader): string[] {
  return ids(deliveries(reader).flatMap(({ events }) => events.filter(isDurable)));
}

/** Ids, entry by entry, of what a reader is to receive. */
function due({ world }: Outcome, reader: Reader): string[][] {
  const filter = createFilter(reader.wish.kinds, reader.wish.resourcePrefixes);
  return world.entries
    .slice(reader.begunAfter)
    .map((events) => ids(events.filter((event) => filter.matches(event))))
    .filter((entry) => entry.length > 0);
}

const PROMISES: Readonly<Record<string, (outcome: Outcome) => void | Promise<void>>> = {
  ordered({ world, readers }) {
    const place = new Map(ids(world.entries.flat()).map((id, i) => [id, i]));
    for (const reader of readers) {
      const places = received(reader).map((id) => place.get(id) ?? -1);
      assert.deepEqual(
        places,
        places.toSorted((a, b) => a - b),
      );
      const revisions = deliveries(reader)
        .map(({ message }) => Number(message.revision))
        .filter((revision) => revision > 0);
      assert.deepEqual(
        revisions,
        revisions.toSorted((a, b) => a - b),
      );
    }
  },

  unique({ readers }) {
    for (const reader of readers) {
      const current = deliveries(reader).flatMap(({ events }) =>
        events.filter((event) => event.type === EventType.CURRENT),
      );
      // What the present state has shown does not come again as a change.
      const all = [...ids(current), ...received(reader)];
      assert.equal(new Set(all).size, all.length);
    }
  },

  atomic(outcome) {
    for (const reader of outcome.readers) {
      const delivered = deliveries(reader).map(({ events }) => new Set(ids(events.filter(isDurable))));
      for (const entry of due(outcome, reader)) {
        for (const delivery of delivered) {
          const part = entry.filter((id) => delivery.has(id));
          assert.ok(part.length === 0 || part.length === entry.length, `only ${part} of ${entry}`);
        }
      }
    }
  },

  reliable(outcome) {
    for (const reader of outcome.readers) assert.deepEqual(received(reader), due(outcome, reader).flat());
  },

  async resumable(outcome) {
    // From every cursor that anybody got, with every filter: exactly what came after it.
    for (const reader of outcome.readers) {
      const all = deliveries(reader);
      for (const [i, { message }] of all.entries()) {
        const rest = ids(all.slice(i + 1).flatMap(({ events }) => events.filter(isDurable)));
        const again = new Reader(outcome.world, { ...reader.wish, includeCurrent: false }, message.cursor);
        await again.readToEnd();
        assert.deepEqual(received(again), rest);
        await again.close();
      }
    }
  },

  bookmarkable(outcome) {
    for (const reader of outcome.readers) {
      for (const [n, messages] of reader.streams.entries()) {
        // The first message, or the first after the present state, says where the stream begins.
        const first = messages.find((message) => !message.partial);
        if (first !== undefined) assert.ok(first.bookmark, `stream ${n} does not begin with a bookmark`);
        for (const message of messages) {
          if (!message.bookmark) continue;
          assert.equal(message.events.length, 0);
          assert.notEqual(message.cursor, "");
        }
      }
      // readToEnd ends with the cursor of the log's end, which a reader whose filter lets nothing through has from bookmarks alone.
      const silent = due(outcome, reader).length === 0;
      if (silent)
        assert.ok(
          deliveries(reader).every(({ message, events }) => message.bookmark || !events.some(isDurable)),
        );
    }
  },

  bounded({ world, readers }) {
    const { tailBytes, watchers } = world.hub.counters;
    assert.ok(tailBytes <= TIGHT_LIMITS.tail.bytes, `${tailBytes} bytes are held`);
    assert.equal(watchers, readers.length);
    for (const message of readers.flatMap((reader) => reader.streams.flat())) {
      // The bound counts the events' own bytes; each is framed, and the cursor comes on top.
      const { length } = toBinary(WatchResponseSchema, message);
      assert.ok(length <= TIGHT_LIMITS.messages.maxBytes * 1.1 + 100, `a message of ${length} bytes`);
    }
  },
};

for (const kind of LOG_KINDS) {
  for (const [promise, look] of Object.entries(PROMISES)) {
    test(`a watch is ${promise}, over a log ${kind.name}`, async () => {
      await fc.assert(
        fc.asyncProperty(traffic, (steps) => play(kind, steps, look)),
        // Making a failure smaller takes too many restarts of a real store.
        { numRuns: kind.runs, endOnFailure: kind.runs < 100 },
      );
    });
  }
}
