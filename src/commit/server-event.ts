import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Event,
  EventKind,
  EventSchema,
  EventType,
  ServerEventSchema,
} from "../../gen/haplane/v1/events_pb.js";
import { formatName } from "../config/name.ts";
import type { ConfiguredServer } from "../config/server.ts";

/** An event before it has happened: time, revision and author are filled in then. */
export type EventDraft = MessageInitShape<typeof EventSchema>;

/** Hands events to the streams that are open, before it returns. Makes them only when somebody watches. */
export type PublishEphemeral = (make: () => readonly Event[]) => void;

/** What happens to a server, and the server after it (before it, when removed). */
export interface ServerEventFacts {
  readonly type: "added" | "updated" | "removed";
  readonly backend: string;
  readonly server: Pick<ConfiguredServer, "name" | "address" | "port" | "weight"> & {
    readonly disabled?: boolean;
  };
}

const TYPES = { added: EventType.ADDED, updated: EventType.UPDATED, removed: EventType.REMOVED };

/** Whose an event is, and of which revision. */
interface EventOrigin {
  readonly author: string;
  readonly revision?: number;
}

/** The event that a change of a server is, or is going to be, now. Thousands are made at once, so it is put together by hand. */
export function serverEvent(
  { type, backend, server }: ServerEventFacts,
  planned: boolean,
  now: number,
  { author, revision = 0 }: EventOrigin,
): Event {
  const value = create(ServerEventSchema);
  value.planned = planned;
  value.backend = backend;
  value.server = server.name;
  value.address = server.address;
  value.port = server.port;
  value.weight = server.weight ?? 1;
  value.disabled = server.disabled ?? false;
  const event = create(EventSchema);
  event.kind = EventKind.SERVER;
  event.type = TYPES[type];
  event.resource = formatName("backends", backend, "servers", server.name);
  event.payload = { case: "server", value };
  event.time = timestampFromMs(now);
  event.author = author;
  event.revision = BigInt(revision);
  return event;
}

/** An event that happens now. */
export function eventNow(draft: EventDraft, now: number, facts: EventOrigin): Event {
  return create(EventSchema, {
    ...draft,
    time: timestampFromMs(now),
    author: facts.author,
    revision: BigInt(facts.revision ?? 0),
  });
}
