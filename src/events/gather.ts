import type { LoggedEvent, LogPosition } from "./event-log.ts";
import type { Filter } from "./filter.ts";
import type { MessageEncoder, WatchMessage } from "./watch-message.ts";

/** Events that belong together, and where the log was after them. */
export interface Together {
  readonly events: readonly LoggedEvent[];
  readonly through: LogPosition;
}

/** How large messages get. */
export interface MessageLimits {
  /** Bytes of events above which no further entry is joined into a message. */
  readonly joinBytes: number;
  /** Bytes of events above which an entry is sent in several messages. */
  readonly maxBytes: number;
}

/** What was made of entries. */
export interface Gathered {
  /** One message, or none when the filter lets nothing through; several when a single entry is too large for one. */
  readonly messages: readonly WatchMessage[];
  /** How many of the entries are in it. */
  readonly taken: number;
}

/** Joins what a filter lets through of the first of the entries into a message. An entry is not divided, unless it is too large for any message. */
export function gather(
  entries: readonly Together[],
  filter: Filter,
  encoder: MessageEncoder,
  limits: MessageLimits,
): Gathered {
  const joined: Uint8Array[] = [];
  let size = 0;
  let taken = 0;
  let through: LogPosition | undefined;
  for (const entry of entries) {
    const { events, bytes } = wanted(entry, filter);
    if (bytes > limits.maxBytes && joined.length === 0) {
      return { messages: divide(events, entry.through, encoder, limits), taken: taken + 1 };
    }
    if (joined.length > 0 && size + bytes > limits.joinBytes) break;
    for (const event of events) joined.push(event);
    size += bytes;
    taken += 1;
    through = entry.through;
  }
  if (joined.length === 0 || through === undefined) return { messages: [], taken };
  return { messages: [encoder.encode("events", joined, through)], taken };
}

function wanted(entry: Together, filter: Filter): { events: Uint8Array[]; bytes: number } {
  const events: Uint8Array[] = [];
  let bytes = 0;
  for (const event of entry.events) {
    if (!filter.all && !filter.matches(event)) continue;
    events.push(event.bytes);
    bytes += event.bytes.length;
  }
  return { events, bytes };
}

function divide(
  events: readonly Uint8Array[],
  through: LogPosition,
  encoder: MessageEncoder,
  limits: MessageLimits,
): WatchMessage[] {
  const messages: WatchMessage[] = [];
  let part: Uint8Array[] = [];
  let size = 0;
  for (const event of events) {
    if (part.length > 0 && size + event.length > limits.maxBytes) {
      messages.push(encoder.encode("partial", part, through));
      part = [];
      size = 0;
    }
    part.push(event);
    size += event.length;
  }
  messages.push(encoder.encode("events", part, through));
  return messages;
}
