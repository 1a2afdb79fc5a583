import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";

/** What became of a change. */
export interface CommitEnd {
  /** By which way HAProxy came to it; `none` when there was nothing to do, or when it was refused before that was known. */
  readonly lane: "runtime" | "reload" | "discovery" | "none";
  /** `ok`, or the reason of the error. */
  readonly outcome: string;
  readonly tookMs: number;
}

/** Makes a change, and tells whoever counts them how it ended. */
export type CountChange = <T>(change: () => Promise<T>, laneOf: (done: T) => CommitEnd["lane"]) => Promise<T>;

/** Has every change that is made through it told to `onEnd`. */
export function countChanges(clock: Clock, onEnd: (end: CommitEnd) => void): CountChange {
  return async (change, laneOf) => {
    const start = clock.monotonic();
    const end = (lane: CommitEnd["lane"], outcome: string) =>
      onEnd({ lane, outcome, tookMs: clock.monotonic() - start });
    try {
      const done = await change();
      end(laneOf(done), "ok");
      return done;
    } catch (error) {
      end("none", error instanceof DomainError ? error.reason : "INTERNAL");
      throw error;
    }
  };
}
