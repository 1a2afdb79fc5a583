import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Event, EventKind, EventSchema, EventType } from "../../gen/haplane/v1/events_pb.js";
import type { EventLog, LogEntry } from "./event-log.ts";
import { PresentState } from "./present-state.ts";

/** A log that only tells. */
function scene() {
  let listener: (entries: readonly LogEntry[]) => void = () => {};
  const log = {
    subscribe(listen: typeof listener) {
      listener = listen;
      return () => {
        listener = () => {};
      };
    },
  } as unknown as EventLog;
  const present = new PresentState(log);
  const tell = (...events: Event[]) =>
    listener([
      {
        seq: 1,
        revision: 1,
        events: events.map((event) => ({
          kind: event.kind,
          resource: event.resource,
          bytes: toBinary(EventSchema, event),
        })),
      },
    ]);
  const shown = () => [...present.events()].map(({ bytes }) => fromBinary(EventSchema, bytes));
  return { present, tell, shown };
}

const event = (kind: EventKind, type: EventType, resource: string, author = "") =>
  create(EventSchema, { kind, type, resource, author });

test("every kind and type that there is becomes CURRENT, and nothing else of the event changes", async () => {
  const kinds = Object.values(EventKind).filter(
    (kind) => typeof kind === "number" && kind > 0,
  ) as EventKind[];
  const types = Object.values(EventType).filter(
    (type) => typeof type === "number" && type > 0,
  ) as EventType[];
  for (const kind of kinds) {
    for (const type of types) {
      const { present, shown } = scene();
      const one = event(kind, type, "r", "somebody");
      await present.begin(async () => [one]);
      for (const current of shown()) assert.deepEqual(current, { ...one, type: EventType.CURRENT });
    }
  }
});

test("the newest event of a resource is its state, and what was removed has none", async () => {
  const { present, tell, shown } = scene();
  await present.begin(async () => [
    event(EventKind.SERVER, EventType.ADDED, "backends/b/servers/a", "first"),
    event(EventKind.SERVER, EventType.ADDED, "backends/b/servers/b"),
    event(EventKind.REVISION, EventType.ADDED, "revisions/1"),
  ]);
  tell(
    event(EventKind.SERVER, EventType.UPDATED, "backends/b/servers/a", "second"),
    event(EventKind.SERVER, EventType.REMOVED, "backends/b/servers/b"),
    event(EventKind.REVISION, EventType.ADDED, "revisions/2"),
    event(EventKind.RELOAD, EventType.ADDED, "reloads/1"),
  );
  assert.deepEqual(
    shown().map(({ resource, author }) => [resource, author]),
    [
      ["backends/b/servers/a", "second"],
      ["revisions/2", ""],
    ],
  );
});

test("it is of a moment: what comes later does not change what was shown", async () => {
  const { present, tell, shown } = scene();
  await present.begin(async () => [event(EventKind.SOURCE, EventType.ADDED, "sources/s")]);
  const [before] = [...present.events()];
  tell(event(EventKind.SOURCE, EventType.UPDATED, "sources/s", "later"));
  assert.equal(fromBinary(EventSchema, before!.bytes).author, "");
  assert.equal(shown()[0]?.author, "later");
});

test("what the log tells while one looks what there is, is newer than what is found", async () => {
  const { present, tell, shown } = scene();
  tell(event(EventKind.PROCESS, EventType.UPDATED, "process", "before"));
  const looking = Promise.withResolvers<void>();
  const begun = present.begin(async () => {
    const found = [
      event(EventKind.PROCESS, EventType.CURRENT, "process", "found"),
      event(EventKind.FILE, EventType.CURRENT, "files/maps/changed", "found"),
      event(EventKind.FILE, EventType.CURRENT, "files/maps/gone", "found"),
      event(EventKind.REVISION, EventType.CURRENT, "revisions/1", "found"),
    ];
    await looking.promise;
    return found;
  });
  tell(
    event(EventKind.FILE, EventType.UPDATED, "files/maps/changed", "told"),
    event(EventKind.FILE, EventType.REMOVED, "files/maps/gone"),
    event(EventKind.REVISION, EventType.ADDED, "revisions/2", "told"),
    event(EventKind.AUDIT, EventType.ADDED, "process"),
  );
  looking.resolve();
  await begun;
  assert.deepEqual(
    shown().map(({ resource, author }) => [resource, author]),
    [
      ["process", "found"],
      ["files/maps/changed", "told"],
      ["revisions/2", "told"],
    ],
  );
});
