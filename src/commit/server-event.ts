import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Event, EventKind, EventSchema, EventType } from "../../gen/haplane/v1/events_pb.js";
import { formatName } from "../config/name.ts";
import type { ConfiguredServer } from "../config/server.ts";

/** An event before it has happened: time, revision and author are filled in then. */
export type EventDraft = MessageInitShape<typeof EventSchema>;

/** What happens to a server, and the server after it (before it, when removed). */
export interface ServerEventFacts {
  readonly type: "added" | "updated" | "removed";
  readonly backend: string;
  readonly server: Pick<ConfiguredServer, "name" | "address" | "port" | "weight"> & {
    readonly disabled?: boolean;
  };
}

const TYPES = { added: EventType.ADDED, updated: EventType.UPDATED, removed: EventType.REMOVED };

/** The event that a change of a server is, or is going to be. */
export function serverEvent({ type, backend, server }: ServerEventFacts, planned: boolean): EventDraft {
  return {
    kind: EventKind.SERVER,
    type: TYPES[type],
    resource: formatName("backends", backend, "servers", server.name),
    payload: {
      case: "server",
      value: {
        planned,
        backend,
        server: server.name,
        address: server.address,
        port: server.port,
        weight: server.weight ?? 1,
        disabled: server.disabled ?? false,
      },
    },
  };
}

/** An event that happens now. */
export function eventNow(
  draft: EventDraft,
  now: number,
  facts: { readonly author: string; readonly revision?: number },
): Event {
  return create(EventSchema, {
    ...draft,
    time: timestampFromMs(now),
    author: facts.author,
    revision: BigInt(facts.revision ?? 0),
  });
}
