import { KeyHints, keyOf, nextId } from "./keys.ts";
import { Line } from "./line.ts";
import type { Source } from "./source.ts";
import { lexWords } from "./words.ts";

/** A chunk is filled to these when text is first cut, may grow to twice as much, and is then cut again. */
const FILL_LINES = 64;
const FILL_BYTES = 8192;
/** Below this many chunks, looking into each is faster than an index. */
const INDEX_FROM = 8;

/**
 * Consecutive lines of a section. An edit makes new chunks only for the lines around it, so what is derived from a
 * chunk may be kept (in a WeakMap) for as long as the chunk lives.
 */
export class Chunk {
  /** Stays the same when lines of the chunk are edited. */
  readonly id: number;
  readonly #source: Source;
  readonly #from: number;
  readonly #to: number;
  #keys: Int32Array | undefined;

  constructor(id: number, source: Source, from: number, to: number, keys?: Int32Array) {
    this.id = id;
    this.#source = source;
    this.#from = from;
    this.#to = to;
    this.#keys = keys;
  }

  /** The number of lines. */
  get length(): number {
    return this.#to - this.#from;
  }

  /** The number of bytes. */
  get size(): number {
    return this.#source.starts[this.#to]! - this.#source.starts[this.#from]!;
  }

  /** The line at an index within the chunk. */
  at(index: number): Line {
    return new Line(this.#source, this.#from + index);
  }

  /** The lines from `from` to `to` as a stretch of their source. */
  stretch(from: number, to: number): Stretch {
    return {
      source: this.#source,
      from: this.#from + from,
      to: this.#from + to,
      keys: this.#keys?.subarray(from, to),
    };
  }

  /** For each line the key of its first two words. */
  get keys(): Int32Array {
    this.#keys ??= keysOf(this.#source, this.#from, this.#to);
    return this.#keys;
  }
}

/** Lines of one source, with their keys where known. */
export interface Stretch {
  readonly source: Source;
  readonly from: number;
  readonly to: number;
  readonly keys: Int32Array | undefined;
}

/** An immutable list of lines; an edit shares all chunks but those it touches. */
export class Lines implements Iterable<Line> {
  readonly chunks: readonly Chunk[];
  /** The number of lines. */
  readonly length: number;
  /** For each chunk the index of its first line. */
  readonly #starts: Uint32Array;
  #positions: Map<number, number> | undefined;
  #hints: KeyHints | undefined;

  private constructor(chunks: readonly Chunk[], starts?: Uint32Array) {
    this.chunks = chunks;
    this.#starts = starts ?? startsOf(chunks);
    this.length = this.#starts[chunks.length]!;
  }

  /** The lines `from` to `to` of a source. */
  static of(source: Source, from: number, to: number): Lines {
    const chunks: Chunk[] = [];
    cut({ source, from, to, keys: undefined }, chunks);
    return new Lines(chunks);
  }

  /** The line at an index; undefined outside the list. */
  at(index: number): Line | undefined {
    if (index < 0 || index >= this.length) return undefined;
    const chunk = this.#chunkAt(index);
    return this.chunks[chunk]!.at(index - this.#starts[chunk]!);
  }

  *[Symbol.iterator](): Iterator<Line> {
    for (const chunk of this.chunks) for (let i = 0; i < chunk.length; i++) yield chunk.at(i);
  }

  /** Indexes of the lines that start with these two words (or this one alone), in order. */
  find(first: string, second: string | undefined): number[] {
    const key = keyOf(first, second);
    const found: number[] = [];
    for (const position of this.#candidates(key)) {
      const chunk = this.chunks[position]!;
      const keys = chunk.keys;
      for (let i = keys.indexOf(key); i >= 0; i = keys.indexOf(key, i + 1)) {
        const words = chunk.at(i).words;
        if (words[0]?.value === first && words[1]?.value === second) found.push(this.#starts[position]! + i);
      }
    }
    return found.length > 1 ? found.sort((a, b) => a - b) : found;
  }

  /** The same list with `deleteCount` lines at `start` replaced by the lines of `inserted`. */
  splice(start: number, deleteCount: number, inserted: Source): Lines {
    if (start < 0 || deleteCount < 0 || start + deleteCount > this.length)
      throw new RangeError("no such lines");
    if (this.chunks.length === 0) return Lines.of(inserted, 0, inserted.starts.length - 1);
    let first = this.#chunkAt(Math.min(start, this.length - 1));
    let last = deleteCount === 0 ? first : this.#chunkAt(start + deleteCount - 1);
    const head = this.chunks[first]!.stretch(0, start - this.#starts[first]!);
    const tail = this.chunks[last]!.stretch(
      start + deleteCount - this.#starts[last]!,
      this.chunks[last]!.length,
    );
    const middle: Stretch = { source: inserted, from: 0, to: inserted.starts.length - 1, keys: undefined };
    const stretches = [head, middle, tail];
    const rest = head.to - head.from + middle.to + (tail.to - tail.from);
    if (rest < FILL_LINES / 4) {
      // Keeps many deletions from leaving a trail of tiny chunks.
      if (last + 1 < this.chunks.length)
        stretches.push(this.chunks[++last]!.stretch(0, this.chunks[last]!.length));
      else if (first > 0) stretches.unshift(this.chunks[--first]!.stretch(0, this.chunks[first]!.length));
    }
    const built: Chunk[] = [];
    const id = this.chunks[first]!.id;
    join(stretches, id, built);
    const sameShape = built.length === 1 && first === last;
    const chunks = this.chunks.toSpliced(first, last - first + 1, ...built);
    const sameCount = sameShape && built[0]!.length === this.chunks[first]!.length;
    const lines = new Lines(chunks, sameCount ? this.#starts : undefined);
    if (sameShape) lines.#positions = this.#positions;
    if (this.#hints !== undefined && !this.#hints.worn) {
      lines.#hints = this.#hints;
      if (sameShape) noteKeys(this.#hints, built[0]!, head.to - head.from, head.to - head.from + middle.to);
      else for (const chunk of built) noteKeys(this.#hints, chunk, 0, chunk.length);
    }
    return lines;
  }

  #candidates(key: number): Iterable<number> {
    if (this.chunks.length < INDEX_FROM) return this.chunks.keys();
    if (this.#hints === undefined) {
      this.#hints = new KeyHints(this.length);
      for (const chunk of this.chunks) noteKeys(this.#hints, chunk, 0, chunk.length);
    }
    this.#positions ??= new Map(this.chunks.map((chunk, position) => [chunk.id, position]));
    const positions: number[] = [];
    for (const id of this.#hints.get(key)) {
      const position = this.#positions.get(id);
      if (position !== undefined) positions.push(position);
    }
    return positions;
  }

  #chunkAt(index: number): number {
    return lastAtMost(this.#starts, this.chunks.length, index);
  }
}

/** The last of the first `count` ascending numbers that is at most `value`; duplicates give the last. */
export function lastAtMost(ascending: Uint32Array, count: number, value: number): number {
  let low = 0;
  let high = count - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (ascending[middle]! <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}

function startsOf(chunks: readonly Chunk[]): Uint32Array {
  const starts = new Uint32Array(chunks.length + 1);
  for (let i = 0; i < chunks.length; i++) starts[i + 1] = starts[i]! + chunks[i]!.length;
  return starts;
}

function noteKeys(hints: KeyHints, chunk: Chunk, from: number, to: number): void {
  const keys = chunk.keys;
  for (let i = from; i < to; i++) hints.add(keys[i]!, chunk.id);
}

function keysOf(source: Source, from: number, to: number): Int32Array {
  const keys = new Int32Array(to - from);
  for (let i = from; i < to; i++) {
    const { words } = lexWords(source.bytes, source.starts[i]!, source.starts[i + 1]!, 2);
    keys[i - from] = keyOf(words[0]?.value ?? "", words[1]?.value);
  }
  return keys;
}

/** Cuts a stretch into chunks of its own source. */
function cut(stretch: Stretch, into: Chunk[], firstId = nextId()): void {
  const { source, keys } = stretch;
  let id = firstId;
  for (let from = stretch.from; from < stretch.to; ) {
    let to = Math.min(from + FILL_LINES, stretch.to);
    while (to > from + 1 && source.starts[to]! - source.starts[from]! > FILL_BYTES)
      to = from + ((to - from) >> 1);
    into.push(new Chunk(id, source, from, to, keys?.subarray(from - stretch.from, to - stretch.from)));
    id = nextId();
    from = to;
  }
}

/** Copies stretches into one new source, and cuts that if it is too large for one chunk. */
function join(stretches: readonly Stretch[], id: number, into: Chunk[]): void {
  let size = 0;
  let count = 0;
  for (const { source, from, to } of stretches) {
    size += source.starts[to]! - source.starts[from]!;
    count += to - from;
  }
  if (count === 0) return;
  const bytes = Buffer.allocUnsafe(size);
  const starts = new Uint32Array(count + 1);
  const known = stretches.some((stretch) => stretch.keys !== undefined);
  const keys = known ? new Int32Array(count) : undefined;
  let line = 0;
  let at = 0;
  for (const { source, from, to, keys: old } of stretches) {
    const base = source.starts[from]!;
    const shift = at - base;
    source.bytes.copy(bytes, at, base, source.starts[to]!);
    at += source.starts[to]! - base;
    if (keys !== undefined) keys.set(old ?? keysOf(source, from, to), line);
    for (let i = from; i < to; i++) starts[++line] = source.starts[i + 1]! + shift;
  }
  const source: Source = { bytes, starts };
  if (count <= FILL_LINES * 2 && size <= FILL_BYTES * 2) into.push(new Chunk(id, source, 0, count, keys));
  else cut({ source, from: 0, to: count, keys }, into, id);
}
