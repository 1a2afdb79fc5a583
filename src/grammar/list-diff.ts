/** An element of a list that is compared. */
export interface DiffElement {
  /** Equal elements have equal keys. */
  readonly key: string;
  /** What makes another version of the element the same one, such as a server's name. */
  readonly identity: string | undefined;
  /** Of elements without identity, those of one sort are more likely to be versions of each other: the action of a rule. */
  readonly sort: string | undefined;
}

/**
 * Where an element of the new list comes from: an old one that keeps its place, unchanged or changed; an old one that moves; or
 * nowhere.
 */
export type DiffStep =
  | { readonly kind: "keep" | "change" | "move"; readonly old: number }
  | { readonly kind: "add" };

/**
 * Compares two lists so that as few old elements as possible move or go. An element without identity counts as a change of a vanished
 * one of its sort between the same neighbours, or of any at exactly its place.
 */
export function diffLists(old: readonly DiffElement[], next: readonly DiffElement[]): DiffStep[] {
  const steps: (DiffStep | undefined)[] = next.map(() => undefined);
  const free = new Set(old.keys());
  const keepLongest = (kind: "keep" | "change", candidates: ReadonlyMap<number, number>) => {
    for (const [at, from] of longestAscending(candidates)) {
      steps[at] = { kind, old: from };
      free.delete(from);
    }
  };
  const whole: Stretch = { oldFrom: 0, oldTo: old.length, from: 0, to: next.length };
  keepLongest(
    "keep",
    match(old, next, whole, steps, free, ({ key }) => key),
  );
  inGaps(steps, old.length, (gap) => {
    keepLongest(
      "change",
      match(old, next, gap, steps, free, ({ identity }) => identity),
    );
  });
  for (const keyOf of [({ key }: DiffElement) => key, ({ identity }: DiffElement) => identity])
    for (const [at, from] of match(old, next, whole, steps, free, keyOf)) {
      steps[at] = { kind: "move", old: from };
      free.delete(from);
    }
  inGaps(steps, old.length, ({ oldFrom, oldTo, from, to }) => {
    const samePlaces = oldTo - oldFrom === to - from;
    let start = oldFrom;
    for (let at = from; at < to; at++) {
      if (steps[at] !== undefined || next[at]!.identity !== undefined) continue;
      const fits = (index: number) =>
        free.has(index) &&
        old[index]!.identity === undefined &&
        (old[index]!.sort === next[at]!.sort || (samePlaces && index - oldFrom === at - from));
      let index = start;
      while (index < oldTo && !fits(index)) index++;
      if (index === oldTo) continue;
      steps[at] = { kind: "change", old: index };
      free.delete(index);
      start = index + 1;
    }
  });
  return steps.map((step) => step ?? { kind: "add" });
}

/** Elements of both lists, up to but without `oldTo` and `to`. */
interface Stretch {
  readonly oldFrom: number;
  readonly oldTo: number;
  readonly from: number;
  readonly to: number;
}

/** For new elements of a stretch without a step the first free old element of the same key in it. */
function match(
  old: readonly DiffElement[],
  next: readonly DiffElement[],
  { oldFrom, oldTo, from, to }: Stretch,
  steps: readonly (DiffStep | undefined)[],
  free: ReadonlySet<number>,
  keyOf: (element: DiffElement) => string | undefined,
): Map<number, number> {
  // From the last to the first, so that the first is at the end, where it is taken from.
  const waiting = new Map<string, number[]>();
  for (let index = oldTo - 1; index >= oldFrom; index--) {
    if (!free.has(index)) continue;
    const key = keyOf(old[index]!);
    if (key === undefined) continue;
    const queue = waiting.get(key);
    if (queue === undefined) waiting.set(key, [index]);
    else queue.push(index);
  }
  const found = new Map<number, number>();
  for (let at = from; at < to; at++) {
    if (steps[at] !== undefined) continue;
    const key = keyOf(next[at]!);
    const index = key === undefined ? undefined : waiting.get(key)?.pop();
    if (index !== undefined) found.set(at, index);
  }
  return found;
}

/** Calls back for each stretch between elements that keep their place: the old elements and the new ones in it. */
function inGaps(
  steps: readonly (DiffStep | undefined)[],
  oldLength: number,
  visit: (gap: Stretch) => void,
): void {
  const fixed = steps.flatMap((step, at) =>
    step?.kind === "keep" || step?.kind === "change" ? [{ at, old: step.old }] : [],
  );
  let oldFrom = 0;
  let from = 0;
  for (const { at, old } of [...fixed, { at: steps.length, old: oldLength }]) {
    if (from < at && oldFrom < old) visit({ oldFrom, oldTo: old, from, to: at });
    from = at + 1;
    oldFrom = old + 1;
  }
}

/** Of pairs in the order of their first number, the most whose second numbers ascend as well. */
function longestAscending(pairs: ReadonlyMap<number, number>): (readonly [number, number])[] {
  const all = [...pairs];
  const ends: number[] = [];
  const before = new Int32Array(all.length).fill(-1);
  all.forEach(([, value], i) => {
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (all[ends[middle]!]![1] < value) low = middle + 1;
      else high = middle;
    }
    if (low > 0) before[i] = ends[low - 1]!;
    ends[low] = i;
  });
  const chosen: (readonly [number, number])[] = [];
  for (let i = ends.at(-1) ?? -1; i >= 0; i = before[i]!) chosen.push(all[i]!);
  return chosen.reverse();
}
