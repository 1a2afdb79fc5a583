/**
 * Where to look for a key: for each key, the chunks that may hold it. Versions of a document that grew out of each
 * other share one of these, so it only ever grows and may point to chunks that no longer hold the key: readers look
 * into the chunk to be sure. That makes an index of a persistent structure as cheap as a plain map.
 */
export class KeyHints {
  readonly #chunks = new Map<number, number | number[]>();
  readonly #limit: number;
  #additions = 0;

  /** `size` is the number of keys at the start; after as many additions again the index counts as worn. */
  constructor(size: number) {
    this.#limit = size * 2 + 1024;
  }

  /** True when so much was added that building the index anew is better. */
  get worn(): boolean {
    return this.#additions > this.#limit;
  }

  /** Notes that the chunk may hold the key. */
  add(key: number, chunk: number): void {
    const known = this.#chunks.get(key);
    if (known === chunk) return;
    if (known === undefined) this.#chunks.set(key, chunk);
    else if (typeof known === "number") this.#chunks.set(key, [known, chunk]);
    else if (known.includes(chunk)) return;
    else known.push(chunk);
    this.#additions++;
  }

  /** The chunks that may hold the key. */
  get(key: number): readonly number[] {
    const known = this.#chunks.get(key);
    if (known === undefined) return [];
    return typeof known === "number" ? [known] : known;
  }
}

/** The key of one or two words: equal words give equal keys; the reverse must be checked. */
export function keyOf(first: string, second: string | undefined): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < first.length; i++) hash = Math.imul(hash ^ first.charCodeAt(i), 0x01000193);
  if (second === undefined) return hash;
  hash = Math.imul(hash ^ 0x10000, 0x01000193);
  for (let i = 0; i < second.length; i++) hash = Math.imul(hash ^ second.charCodeAt(i), 0x01000193);
  return hash;
}

let lastId = 0;

/** An identity for a chunk or section, unique in the process. */
export function nextId(): number {
  return ++lastId;
}
