/** Growing, jittered delays between attempts. */
export interface Backoff {
  /** The delay before the next attempt, in milliseconds; each one is longer than the last, up to the maximum. */
  next(): number;
  /** Begins again with the first delay, after a success. */
  reset(): void;
}

/** How a backoff grows. */
export interface BackoffOptions {
  /** First delay in milliseconds. */
  readonly firstMs: number;
  /** Longest delay in milliseconds. */
  readonly maxMs: number;
  /** Source of jitter, from 0 to 1. Default `Math.random`. */
  readonly random?: () => number;
}

/**
 * Doubles from `firstMs` to `maxMs`. Each delay is drawn from the upper half of its step, so that many who
 * failed together do not come back together, and none comes back at once.
 */
export function createBackoff({ firstMs, maxMs, random = Math.random }: BackoffOptions): Backoff {
  let step = firstMs;
  return {
    next() {
      const delay = Math.round(step * (0.5 + random() / 2));
      step = Math.min(step * 2, maxMs);
      return delay;
    },
    reset() {
      step = firstMs;
    },
  };
}
