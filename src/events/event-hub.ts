import type { Event, EventKind } from "../../gen/haplane/v1/events_pb.js";
import type { LoggedEvent } from "./event-log.ts";
import type { WatchMessage } from "./watch-message.ts";

/**
 * Hands what happens to everyone who watches. Durable events come from the log, once they are in it; ephemeral ones come straight from who publishes them.
 * Keeps the promises that `haplane.v1.Events` makes: ordered, unique, atomic, reliable, resumable, bookmarkable, bounded.
 */
export interface EventHub {
  /**
   * Makes events durable and hands them over, all in one message. Resolves when that is done; rejects with `STORE_UNAVAILABLE`. Events that belong to a revision are
   * appended with it, in the store's transaction, and get here by themselves.
   */
  publish(events: readonly Event[]): Promise<void>;
  /** Hands events to every stream that is open and has room, before it returns. They are not kept; `ephemeral` is set on them. */
  publishEphemeral(events: readonly Event[]): void;
  /** Begins a watch. Errors come from the first `next()`: `FIELD_INVALID`, `CURSOR_FOREIGN`, `CURSOR_EXPIRED`, `LIMIT_EXCEEDED`, `SHUTTING_DOWN`. */
  watch(options: WatchOptions): AsyncIterableIterator<WatchMessage>;
  /** Tells when the first watch that lets events of a kind through is opened (at once, if one is open), and when the last of them ends. Returns the way to hear no more. */
  subscribeDemand(kind: EventKind, listener: (isWanted: boolean) => void): () => void;
  /** What there is now and what there was, for metrics. */
  readonly counters: HubCounters;
  /** Ends all watches with `SHUTTING_DOWN`. */
  close(): void;
}

/** What is asked of a watch; the fields are those of `WatchRequest`. */
export interface WatchOptions {
  readonly cursor: string;
  readonly kinds: readonly EventKind[];
  readonly resourcePrefixes: readonly string[];
  readonly includeCurrent: boolean;
  /** Ends the watch at once and frees what it holds; the iteration is then done. */
  readonly signal: AbortSignal;
  /**
   * The present state as encoded events, for `includeCurrent`; called once, at once. It must be the state as the hub's log has it at that moment: nothing then falls between it and
   * the first change, and nothing comes twice.
   */
  readonly current: () => Iterable<LoggedEvent>;
}

/** Figures of a hub. */
export interface HubCounters {
  /** Open watches. */
  readonly watchers: number;
  /** Those of them whose reader is behind. */
  readonly lagging: number;
  /** Bytes of recent events held for readers that are behind; shared by all of them. */
  readonly tailBytes: number;
  /** Durable events handed over since the start. */
  readonly published: number;
  /** Ephemeral ones. */
  readonly publishedEphemeral: number;
  /** Messages handed to watchers. */
  readonly messages: number;
  /** Watches ended because the reader was too slow. */
  readonly endedSlow: number;
}
