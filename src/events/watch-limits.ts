import type { MessageLimits } from "./gather.ts";
import type { TailLimits } from "./tail.ts";

/** Bounds of a hub and its watches. */
export interface WatchLimits {
  /** Open watches; one more is refused with `LIMIT_EXCEEDED`. */
  readonly watchers: number;
  /** How much of what happened last is held for readers that are behind, all together. */
  readonly tail: TailLimits;
  readonly messages: MessageLimits;
  /** How many durable events a reader may fall behind, beyond what it lacked at the beginning, before it is ended with `LIMIT_EXCEEDED`. */
  readonly lag: number;
  /** Milliseconds within which an idle watch gets a bookmark. */
  readonly bookmarkMs: number;
}

/** What holds where nothing else is said. */
export const DEFAULT_WATCH_LIMITS: WatchLimits = {
  watchers: 10_000,
  tail: { bytes: 8 * 1024 * 1024, entries: 16_384 },
  // A reader that is behind holds one joined message. gRPC clients refuse messages of more than 4 MiB unless they are told otherwise.
  messages: { joinBytes: 64 * 1024, maxBytes: 3_584 * 1024 },
  lag: 100_000,
  bookmarkMs: 30_000,
};
