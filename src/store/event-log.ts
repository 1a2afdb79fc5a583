import type { Event } from "../../gen/haplane/v1/events_pb.js";

/**
 * The durable sequence of events. `src/events` feeds its watchers from it.
 *
 * Events that are appended together are one *entry*: they are read and handed to watchers together or not at all. Each event has a number, one more than the one before;
 * an entry goes by the number of its last event.
 */
export interface EventLog {
  /** Names the history that the numbers belong to. */
  readonly epoch: string;
  /** The last entry that listeners were given; at first, the last one in the log. */
  readonly newest: LogPosition;
  /** Number of the oldest event that is kept; `newest.seq + 1` when there is none. */
  readonly oldest: number;
  /** Appends the events as one entry. When it resolves the entry is durable and listeners have it. */
  append(events: readonly Event[]): Promise<void>;
  /** Whole entries after the one that ends with number `after`, in order: at least one if there is one, then more until a limit is reached. */
  read(after: number, limit: ReadLimit): Promise<LogPage>;
  /** Calls `listener` with each entry once it is durable, in order, whoever appended it. Returns the way to stop. */
  subscribe(listener: (entries: readonly LogEntry[]) => void): () => void;
}

/** A place between two entries. */
export interface LogPosition {
  /** Number of the last event before it; 0 at the very beginning. */
  readonly seq: number;
  /** The newest revision that is among the events up to there; 0 when there is none. */
  readonly revision: number;
}

/** Events that were appended together. */
export interface LogEntry extends LogPosition {
  readonly events: readonly LoggedEvent[];
}

/** One event, with what filters look at. */
export interface LoggedEvent {
  /** An `EventKind`. */
  readonly kind: number;
  readonly resource: string;
  /** The encoded `haplane.v1.Event`. */
  readonly bytes: Uint8Array;
}

/** How much to read at once. */
export interface ReadLimit {
  /** Number of events. */
  readonly events: number;
  /** Bytes of encoded events. */
  readonly bytes: number;
}

/** An answer of `read`. */
export interface LogPage {
  readonly entries: readonly LogEntry[];
  /** The oldest event that was kept at that moment. When it is above `after + 1`, what lies between is lost. */
  readonly oldest: number;
}
