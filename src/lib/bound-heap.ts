import { PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** As large as the space is to become in a busy process. */
const BUSY_BYTES = 8 * 1024 * 1024;

/** A process is busy that collects young garbage so often in a second. */
const BUSY_COLLECTIONS = 20;

const WINDOW_MS = 1_000;

/**
 * How much larger than what was found alive, in percent, the rest of the heap may become before it is collected. Left alone, V8 lets a heap that was quiet grow to several times that before it looks; a quarter costs no
 * more CPU where a thousand services are found at once, and a sixth less memory.
 */
const OLD_GROWTH_PERCENT = 25;

/** Bounds what V8 takes of memory beyond what is in use. */
export function boundHeap(): void {
  setFlagsFromString(`--heap-growing-percent=${OLD_GROWTH_PERCENT}`);
  boundYoungSpace();
}

/**
 * Bounds V8's space for new objects. Left alone, it grows to 128 MB in one burst of answers and is not given back soon; kept at its first megabyte, a busy process collects it a hundred times in a second, and what
 * is under way at that moment becomes old garbage. So it grows only here, in one step, when the process is busy; V8 makes it small again when it is not. The flag that bounds it counts only before there is a
 * heap; the factor is read whenever the space is to grow.
 */
function boundYoungSpace(): void {
  setGrowth(1);
  let since = performance.now();
  let collections = 0;
  new PerformanceObserver((list) => {
    collections += list.getEntries().length;
    if (collections < BUSY_COLLECTIONS) return;
    const now = performance.now();
    const isBusy = now - since < WINDOW_MS;
    [since, collections] = [now, 0];
    if (isBusy && youngBytes() < BUSY_BYTES) grow();
  }).observe({ entryTypes: ["gc"] });
}

/** V8 grows the space at a collection, once or twice, when more has survived since it last grew than it holds. */
function grow(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as (options: { readonly type: "minor" }) => void;
  setGrowth(2);
  const survivors: number[][] = [];
  for (let round = 0; round < MAX_ROUNDS && youngBytes() < BUSY_BYTES; round += 1) {
    const bytes = youngBytes();
    for (let made = 0; made < bytes; made += SURVIVOR_BYTES)
      survivors.push(new Array(SURVIVOR_LENGTH).fill(round));
    collect({ type: "minor" });
  }
  setGrowth(1);
}

/** Elements of an array, and what it takes at least: few large ones are made and moved sooner than many small. */
const SURVIVOR_LENGTH = 64;
const SURVIVOR_BYTES = 256;
const MAX_ROUNDS = 8;

function setGrowth(factor: number): void {
  setFlagsFromString(`--semi-space-growth-factor=${factor}`);
}

function youngBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")?.space_size ?? 0;
}
