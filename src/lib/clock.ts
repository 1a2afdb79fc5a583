/** Time as it comes in by the door: the real one in the process, one turned by hand in tests. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z, as `Date.now()`. */
  now(): number;
  /** Calls `callback` once after `ms` milliseconds, unless the returned function is called before. Does not keep the process alive. */
  after(ms: number, callback: () => void): () => void;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
