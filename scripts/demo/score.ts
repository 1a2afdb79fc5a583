/** An instance, as the table shows it. */
export interface InstanceRow {
  readonly name: string;
  readonly port: number;
  state: "joining" | "serving" | "leaving" | "gone";
  /** When it was gone, in milliseconds of `performance.now()`. */
  goneAt?: number;
}

/** What the demo has seen so far; one object, written by the story and read by the display. */
export interface Score {
  readonly instances: InstanceRow[];
  /** Registration to the event on the watch, in milliseconds. */
  readonly eventMs: number[];
  /** Registration to the first request served. */
  readonly servedMs: number[];
  /** Deregistration until HAProxy has the server no more. */
  readonly goneMs: number[];
  /** Reloads of HAProxy that the service's first appearance cost. */
  reloadsAtFirst: number;
  /** Reloads since. */
  reloadsSince: number;
  /** Whether the worker is the one that served first. */
  sameWorker: boolean;
  /** When traffic began and ended, in milliseconds of `performance.now()`. */
  beganAt: number;
  endedAt?: number;
}

/** Nothing seen yet. */
export function newScore(): Score {
  return {
    instances: [],
    eventMs: [],
    servedMs: [],
    goneMs: [],
    reloadsAtFirst: 0,
    reloadsSince: 0,
    sameWorker: true,
    beganAt: performance.now(),
  };
}

/** Median and slowest of some times: "median 2.1 ms, slowest 4.8 ms". */
export function describeTimes(times: readonly number[]): string {
  if (times.length === 0) return "none yet";
  const sorted = times.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] as number;
  return `median ${formatMs(median)}, slowest ${formatMs(sorted.at(-1) as number)}`;
}

/** How many requests each instance has served: "app-1 1,204, app-2 331". */
export function describeShares(
  instances: readonly Pick<InstanceRow, "name">[],
  served: ReadonlyMap<string, number>,
): string {
  return instances.map(({ name }) => `${name} ${formatCount(served.get(name) ?? 0)}`).join(", ");
}

/** "2.1 ms". */
export function formatMs(ms: number): string {
  return `${ms.toFixed(1)} ms`;
}

/** "12,345". */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}
