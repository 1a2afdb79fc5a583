/** Time as it comes in by the door: the real one in the process, one turned by hand in tests. */
export interface Clock {
  /** The time of day in milliseconds since 1970, as `Date.now()`; it may jump. */
  now(): number;
  /** Milliseconds since some fixed moment; it never goes back. For durations. */
  monotonic(): number;
  /** Calls `action` once after `delayMs` milliseconds, unless the returned function is called before. Does not keep the process alive. */
  after(delayMs: number, action: () => void): () => void;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
