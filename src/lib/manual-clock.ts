import type { Clock } from "./clock.ts";

interface Timer {
  readonly due: number;
  readonly action: () => void;
}

/** A clock for tests: it stands still until it is told to go on. */
export class ManualClock implements Clock {
  #now: number;
  #timers: Timer[] = [];

  /** `start` is the time of day at first, in milliseconds since 1970. */
  constructor(start = Date.UTC(2030, 0, 1)) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  after(delayMs: number, action: () => void): () => void {
    const timer = { due: this.#now + Math.max(0, delayMs), action };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Timers that have not fired yet. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Goes on by `ms` milliseconds, firing what falls due in its order; timers that are set meanwhile count too. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter((timer) => timer.due <= end).toSorted((a, b) => a.due - b.due)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = next.due;
      next.action();
    }
    this.#now = end;
  }
}
