import { toBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Event, EventSchema } from "../../gen/haplane/v1/events_pb.js";
import type { LogEntry, LoggedEvent } from "./event-log.ts";

/** Events as they travel between threads: their bytes in one buffer, which is handed over and not copied. */
export interface PackedEvents {
  readonly heads: readonly EventHead[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What is known of an event without decoding it. */
export interface EventHead {
  readonly kind: number;
  readonly resource: string;
  /** The revision that contains it; 0 when there is none. */
  readonly revision: number;
  /** When it happened, in milliseconds since 1970. */
  readonly time: number;
  /** Length of its bytes. */
  readonly size: number;
}

/** Encodes the events of one entry. `now` is the time of those that carry none. */
export function encodeEvents(events: readonly Event[], now: number): EncodedEvents {
  const encoded = events.map((event) => toBinary(EventSchema, event));
  const heads = events.map((event, i) => ({
    kind: event.kind,
    resource: event.resource,
    revision: Number(event.revision),
    time: event.time === undefined ? now : timestampMs(event.time),
    size: encoded[i]?.length ?? 0,
  }));
  return {
    events: heads.map(({ kind, resource }, i) => ({
      kind,
      resource,
      bytes: encoded[i] ?? new Uint8Array(0),
    })),
    packed: { heads, bytes: concatenate(encoded) },
  };
}

/** The two forms of an entry's events: for watchers, and for the thread that writes them. */
export interface EncodedEvents {
  readonly events: readonly LoggedEvent[];
  readonly packed: PackedEvents;
}

/** Entries as they travel between threads. */
export interface PackedEntries {
  readonly entries: readonly {
    readonly seq: number;
    readonly revision: number;
    readonly heads: readonly Pick<EventHead, "kind" | "resource" | "size">[];
  }[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The opposite of packing: the events' bytes are views of the one buffer. */
export function unpackEntries(packed: PackedEntries): LogEntry[] {
  let at = 0;
  return packed.entries.map(({ seq, revision, heads }) => ({
    seq,
    revision,
    events: heads.map(({ kind, resource, size }) => {
      const bytes = packed.bytes.subarray(at, at + size);
      at += size;
      return { kind, resource, bytes };
    }),
  }));
}

/** Byte strings one behind the other, in a buffer of their own. */
export function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
