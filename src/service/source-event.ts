import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { EventKind, type EventSchema, EventType } from "../../gen/haplane/v1/events_pb.js";
import type { Source } from "../../gen/haplane/v1/service_discovery_pb.js";
import type { SourceChange } from "../discovery/sources.ts";

const TYPES: Record<SourceChange["type"], EventType> = {
  added: EventType.ADDED,
  updated: EventType.UPDATED,
  removed: EventType.REMOVED,
};

/** The event that a change of a source is. */
export function sourceChangeEvent(
  { type, source }: SourceChange,
  now: number,
): MessageInitShape<typeof EventSchema> {
  return sourceEvent(source, TYPES[type], now);
}

/** An event about a source, which comes without secrets. */
export function sourceEvent(
  source: Source,
  type: EventType,
  now: number,
): MessageInitShape<typeof EventSchema> {
  return {
    kind: EventKind.SOURCE,
    type,
    time: timestampFromMs(now),
    resource: source.name,
    author: "haplane",
    payload: { case: "source", value: { source } },
  };
}
