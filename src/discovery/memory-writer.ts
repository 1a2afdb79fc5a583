import type { Clock } from "../lib/clock.ts";

/** Writes what changes often, at most once in a while. */
export interface MemoryWriter {
  /** There is something to write: it is written at once, or soon when something was written just before. */
  touch(): void;
  /** Writes at once what there is to write. */
  flush(): Promise<void>;
}

/** What changes together is written together. */
const GATHER_MS = 20;
/** How far apart two writes are at least. */
const APART_MS = 1_000;

/** A writer by `write`, which never rejects. */
export function createMemoryWriter(clock: Clock, write: () => Promise<void>): MemoryWriter {
  let cancelTimer: (() => void) | undefined;
  let nextMs = Number.NEGATIVE_INFINITY;

  async function flush(): Promise<void> {
    if (cancelTimer === undefined) return;
    cancelTimer();
    cancelTimer = undefined;
    nextMs = clock.monotonic() + APART_MS;
    await write();
  }

  return {
    touch() {
      cancelTimer ??= clock.after(Math.max(GATHER_MS, nextMs - clock.monotonic()), () => void flush());
    },
    flush,
  };
}
