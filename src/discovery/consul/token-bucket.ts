import type { Clock } from "../../lib/clock.ts";

/** Damps what repeats: a burst goes through at once, then so many per second. */
export interface TokenBucket {
  /** Takes tokens, going into debt if need be, and says how many milliseconds to wait until the debt is paid; 0 when there is none. */
  take(tokens: number): number;
}

/** A full bucket of `capacity` tokens, refilled by `perSecond`. */
export function createTokenBucket(clock: Clock, capacity: number, perSecond: number): TokenBucket {
  let tokens = capacity;
  let filledAt = clock.monotonic();
  return {
    take(wanted) {
      const now = clock.monotonic();
      tokens = Math.min(capacity, tokens + ((now - filledAt) * perSecond) / 1000) - wanted;
      filledAt = now;
      return tokens >= 0 ? 0 : (-tokens * 1000) / perSecond;
    },
  };
}
