import type { Clock } from "../lib/clock.ts";
import type { CallOptions } from "./call-options.ts";
import type { StatsTable } from "./stats-table.ts";

/** Statistics for everybody who wants them: they cost HAProxy and us milliseconds for thousands of servers, so those who ask at the same time share one answer. */
export interface StatsFeed {
  /** The statistics now. Rejects as `Runtime.stats`. */
  latest(): Promise<StatsTable>;
  /** The statistics again and again. */
  watch(intervalMs: number): StatsWatch;
}

/** What a watcher holds. Nothing is asked for one that does not wait. */
export interface StatsWatch {
  /** The next statistics: at once the first time, then an interval after the last ones, or a little earlier when another watcher gets some. Rejects as `latest`; never settles after `close`. */
  next(): Promise<StatsTable>;
  close(): void;
}

interface Waiting {
  readonly intervalMs: number;
  dueAt: number;
  take: ((table: Promise<StatsTable>) => void) | undefined;
}

/** Makes a feed over the way to ask HAProxy. */
export function createStatsFeed(
  stats: (options?: CallOptions) => Promise<StatsTable>,
  clock: Clock,
): StatsFeed {
  let asked: Promise<StatsTable> | undefined;
  const watchers = new Set<Waiting>();
  let stopTimer = () => {};

  const latest = () => {
    asked ??= stats().finally(() => {
      asked = undefined;
    });
    return asked;
  };

  const schedule = () => {
    stopTimer();
    let next = Number.POSITIVE_INFINITY;
    for (const { take, dueAt } of watchers) if (take !== undefined) next = Math.min(next, dueAt);
    if (next === Number.POSITIVE_INFINITY) return;
    stopTimer = clock.after(Math.max(0, next - clock.monotonic()), () => serve());
  };

  const serve = () => {
    const now = clock.monotonic();
    const table = latest();
    for (const watcher of watchers) {
      // Who is soon due is served as well, so that watchers get into step.
      if (watcher.take === undefined || watcher.dueAt - now > watcher.intervalMs / 2) continue;
      watcher.take(table);
      watcher.take = undefined;
      watcher.dueAt = now + watcher.intervalMs;
    }
    table.catch(() => {});
    schedule();
  };

  return {
    latest,
    watch(intervalMs) {
      const watcher: Waiting = { intervalMs, dueAt: clock.monotonic(), take: undefined };
      watchers.add(watcher);
      return {
        next: () =>
          new Promise((resolve) => {
            watcher.take = resolve;
            schedule();
          }),
        close() {
          watchers.delete(watcher);
          schedule();
        },
      };
    },
  };
}
