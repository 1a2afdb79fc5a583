import type { EntryChange, LoadedEntry, PatternEntry } from "./live.ts";

/**
 * The changes that make the loaded entries the wanted ones. Where order counts (regular expressions, prefixes, the same key twice) they lead to the wanted order: what is kept stays in place, what is new comes last.
 * Where it does not, only what differs is touched.
 */
export function planPatterns(
  loaded: readonly LoadedEntry[],
  wanted: readonly PatternEntry[],
  ordered: boolean,
): EntryChange[] {
  return (ordered ? undefined : planUnordered(loaded, wanted)) ?? planOrdered(loaded, wanted);
}

/** Undefined when a key stands twice: then the first counts. */
function planUnordered(
  loaded: readonly LoadedEntry[],
  wanted: readonly PatternEntry[],
): EntryChange[] | undefined {
  const rest = new Map(wanted.map((entry) => [entry.key, entry]));
  if (rest.size !== wanted.length || new Set(loaded.map(({ key }) => key)).size !== loaded.length)
    return undefined;
  const changes: EntryChange[] = [];
  for (const entry of loaded) {
    const want = rest.get(entry.key);
    rest.delete(entry.key);
    changes.push(...changeOf(entry, want));
  }
  for (const { key, value } of rest.values()) changes.push({ kind: "add", key, value });
  return changes;
}

function planOrdered(loaded: readonly LoadedEntry[], wanted: readonly PatternEntry[]): EntryChange[] {
  const places = new Map<string, number[]>();
  for (const [index, { key }] of loaded.entries()) {
    const list = places.get(key);
    if (list === undefined) places.set(key, [index]);
    else list.push(index);
  }
  const changes: EntryChange[] = [];
  let next = 0;
  let at = 0;
  for (; at < wanted.length; at++) {
    const want = wanted[at]!;
    const place = places.get(want.key)?.find((index) => index >= next);
    // From the first new one on everything has to come last, in its order.
    if (place === undefined) break;
    for (; next < place; next++) changes.push(...changeOf(loaded[next]!, undefined));
    changes.push(...changeOf(loaded[next++]!, want));
  }
  for (; next < loaded.length; next++) changes.push(...changeOf(loaded[next]!, undefined));
  for (const { key, value } of wanted.slice(at)) changes.push({ kind: "add", key, value });
  return changes;
}

function changeOf({ ref, value }: LoadedEntry, want: PatternEntry | undefined): EntryChange[] {
  if (want === undefined) return [{ kind: "delete", ref }];
  return want.value === value ? [] : [{ kind: "set", ref, value: want.value }];
}
