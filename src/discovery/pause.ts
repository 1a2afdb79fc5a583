import type { Clock } from "../lib/clock.ts";

/** Waits that can be cut short together: when one query gets through again, the others need not sit out their backoff. */
export interface Pauses {
  /** Resolves after `ms` milliseconds, or before when the signal aborts or all are cut short. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  /** Ends all waits. */
  cutShort(): void;
}

/** A group of waits. */
export function createPauses(clock: Clock): Pauses {
  const waiting = new Set<() => void>();
  return {
    wait(ms, signal) {
      if (signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const end = () => {
          cancel();
          waiting.delete(end);
          signal.removeEventListener("abort", end);
          resolve();
        };
        const cancel = clock.after(ms, end);
        waiting.add(end);
        signal.addEventListener("abort", end, { once: true });
      });
    },
    cutShort() {
      for (const end of [...waiting]) end();
    },
  };
}
