import { BACKSLASH, DOLLAR, DOUBLE_QUOTE, HASH, LF, SINGLE_QUOTE, SPACE, TAB } from "./bytes.ts";

/** Marks what need not be found. */
export const NO_KEY = 0;

const FNV_BASIS = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
/** Stands between two words: no character is it. */
const BETWEEN = 0x10000;

/** The key of one or two words: equal words give equal keys; the reverse must be checked. */
export function keyOf(first: string, second: string | undefined): number {
  let hash = FNV_BASIS;
  for (let i = 0; i < first.length; i++) hash = Math.imul(hash ^ first.charCodeAt(i), FNV_PRIME);
  if (second === undefined) return hash || 1;
  hash = Math.imul(hash ^ BETWEEN, FNV_PRIME);
  for (let i = 0; i < second.length; i++) hash = Math.imul(hash ^ second.charCodeAt(i), FNV_PRIME);
  return hash || 1;
}

/** The same for the first two words of a line, off its bytes; undefined for a line that has to be split by the rules, or has fewer. */
export function plainKey(bytes: Uint8Array, start: number, end: number): number | undefined {
  const classes = CLASSES;
  let at = start;
  let hash = FNV_BASIS;
  for (let word = 0; word < 2; word++) {
    if (word > 0) hash = Math.imul(hash ^ BETWEEN, FNV_PRIME);
    while (at < end && classes[bytes[at]!] === BLANK) at++;
    const from = at;
    for (; at < end && classes[bytes[at]!] === PLAIN; at++) hash = Math.imul(hash ^ bytes[at]!, FNV_PRIME);
    const behind = at < end ? classes[bytes[at]!] : OTHER;
    if (at === from || !(behind === BLANK || (behind === FEED && word > 0))) return undefined;
  }
  return hash || 1;
}

const OTHER = 0;
/** It stands for itself wherever it stands. */
const PLAIN = 1;
const BLANK = 2;
const FEED = 3;

/** Class of each byte. */
const CLASSES = (() => {
  const classes = new Uint8Array(256).fill(PLAIN, 33, 127);
  for (const special of [HASH, DOUBLE_QUOTE, SINGLE_QUOTE, BACKSLASH, DOLLAR]) classes[special] = OTHER;
  for (const blank of [SPACE, TAB]) classes[blank] = BLANK;
  classes[LF] = FEED;
  return classes;
})();

let lastId = 0;

/** An identity, unique in the process. */
export function nextId(): number {
  return ++lastId;
}

/**
 * For each key the ids of the holders that may have it. Versions that grew out of each other share one of these, so it
 * only ever grows and may name holders that lost the key, or came later: the reader looks into the holder to be sure.
 * That makes the index of a persistent structure as cheap as a plain map.
 */
export class Hints {
  readonly #ids = new Map<number, number | Set<number>>();
  readonly #limit: number;
  #additions = 0;

  /** `size` is the number of keys there are; after a few times as many additions the index counts as worn. */
  constructor(size: number) {
    this.#limit = size * 4 + 1024;
  }

  /** True when so much was added that building the index anew is better. */
  get worn(): boolean {
    return this.#additions > this.#limit;
  }

  /** Notes that a holder may have the key. */
  add(key: number, id: number): void {
    if (key === NO_KEY) return;
    const known = this.#ids.get(key);
    if (known === id) return;
    if (known === undefined) this.#ids.set(key, id);
    else if (typeof known === "number") this.#ids.set(key, new Set([known, id]));
    else known.add(id);
    this.#additions++;
  }

  /** The holders that may have the key. */
  get(key: number): Iterable<number> {
    const known = this.#ids.get(key);
    return typeof known === "number" ? [known] : (known ?? []);
  }
}
