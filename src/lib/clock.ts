/** Time as it comes in by the door: the real one in the process, one turned by hand in tests. */
export interface Clock {
  /** The time of day in milliseconds since 1970, as `Date.now()`; it may jump. */
  now(): number;
  /** Milliseconds since some fixed moment; it never goes back. For durations. */
  monotonic(): number;
  /** Calls `action` once after `delayMs` milliseconds, unless the returned function is called before. Does not keep the process alive. */
  after(delayMs: number, action: () => void): () => void;
}

/** The longest time that a timer of Node's takes; with a longer one it fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, action) {
    const end = performance.now() + delayMs;
    let timer: NodeJS.Timeout;
    const wait = (ms: number) => {
      timer =
        ms > MAX_TIMER_MS
          ? setTimeout(() => wait(end - performance.now()), MAX_TIMER_MS)
          : setTimeout(action, ms);
      timer.unref();
    };
    wait(delayMs);
    return () => clearTimeout(timer);
  },
};
