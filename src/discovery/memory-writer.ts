import type { Clock } from "../lib/clock.ts";

/** Writes what changes often, at most once in a while. */
export interface MemoryWriter {
  /** There is something to write: it is written soon. */
  touch(): void;
  /** Writes at once what there is to write. */
  flush(): Promise<void>;
}

const DELAY_MS = 1_000;

/** A writer by `write`, which never rejects. */
export function createMemoryWriter(clock: Clock, write: () => Promise<void>): MemoryWriter {
  let cancelTimer: (() => void) | undefined;

  async function flush(): Promise<void> {
    if (cancelTimer === undefined) return;
    cancelTimer();
    cancelTimer = undefined;
    await write();
  }

  return {
    touch() {
      cancelTimer ??= clock.after(DELAY_MS, () => void flush());
    },
    flush,
  };
}
