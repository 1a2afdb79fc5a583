/** Marks what need not be found. */
export const NO_KEY = 0;

/** The key of one or two words: equal words give equal keys; the reverse must be checked. */
export function keyOf(first: string, second: string | undefined): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < first.length; i++) hash = Math.imul(hash ^ first.charCodeAt(i), 0x01000193);
  if (second === undefined) return hash || 1;
  hash = Math.imul(hash ^ 0x10000, 0x01000193);
  for (let i = 0; i < second.length; i++) hash = Math.imul(hash ^ second.charCodeAt(i), 0x01000193);
  return hash || 1;
}

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
