import { keyOf, NO_KEY, nextId, plainKey } from "./hints.ts";
import { Line } from "./line.ts";
import type { Source } from "./source.ts";
import { lexWords } from "./words.ts";

/** A chunk is filled to these when text is first cut, may grow to twice as much, and is then cut again. */
const FILL_LINES = 32;
const FILL_BYTES = 4096;
/** An edited chunk with more runs than this is copied into one. */
const MAX_RUNS = 9;

/** Consecutive lines of one source. */
export interface Run {
  readonly source: Source;
  readonly from: number;
  readonly to: number;
}

/** Runs that follow each other, with the keys of their lines where these are known. */
export interface Stretch {
  readonly runs: readonly Run[];
  readonly keys: readonly number[] | undefined;
}

/**
 * Some consecutive lines of a section. An edit makes new chunks only for the lines around it, so what is derived from a
 * chunk may be kept (in a WeakMap) for as long as the chunk lives.
 */
export class Chunk implements Stretch {
  /** Stays the same when lines of the chunk are edited. */
  readonly id: number;
  /** The number of lines. */
  readonly length: number;
  /** The lines, as they lie in their sources. */
  readonly runs: readonly Run[];
  #keys: readonly number[] | undefined;

  constructor(id: number, { runs, keys }: Stretch) {
    this.id = id;
    this.length = countOf(runs);
    this.runs = runs;
    this.#keys = keys;
  }

  /** The line at an index, which must exist. */
  at(index: number): Line {
    let rest = index;
    for (const { source, from, to } of this.runs) {
      if (rest < to - from) return new Line(source, from + rest);
      rest -= to - from;
    }
    throw new RangeError("no such line");
  }

  /** For each line the key of its first two words, see `hints.ts`. */
  get keys(): readonly number[] {
    this.#keys ??= keysOf(this.runs);
    return this.#keys;
  }

  /** The lines `from` to `to`. */
  slice(from: number, to: number): Stretch {
    const runs: Run[] = [];
    let start = 0;
    for (const run of this.runs) {
      const end = start + run.to - run.from;
      if (start >= from && end <= to) runs.push(run);
      else if (start < to && end > from)
        runs.push({
          source: run.source,
          from: run.from + Math.max(from - start, 0),
          to: run.to - Math.max(end - to, 0),
        });
      start = end;
    }
    return { runs, keys: this.#keys?.slice(from, to) };
  }
}

/** The lines `from` to `to` of a source. */
export function stretchOf(source: Source, from = 0, to = source.starts.length - 1): Stretch {
  return { runs: from < to ? [{ source, from, to }] : [], keys: undefined };
}

/** For each line the key of its first two words. */
export function keysOf(runs: readonly Run[]): number[] {
  const keys: number[] = [];
  for (const { source, from, to } of runs) {
    const { bytes, starts } = source;
    for (let line = from; line < to; line++) {
      const [start, end] = [starts[line]!, starts[line + 1]!];
      keys.push(plainKey(bytes, start, end) ?? lexedKey(bytes, start, end));
    }
  }
  return keys;
}

function lexedKey(bytes: Buffer, start: number, end: number): number {
  const { words } = lexWords(bytes, start, end, 2);
  const first = words[0]?.value ?? "";
  return first === "" ? NO_KEY : keyOf(first, words[1]?.value);
}

/** Puts stretches together; the keys are known when those of all are. */
export function joined(stretches: readonly Stretch[]): Stretch {
  const runs = stretches.flatMap((stretch) => stretch.runs);
  const keys: number[] = [];
  for (const stretch of stretches) {
    if (stretch.keys === undefined) return { runs, keys: undefined };
    for (const key of stretch.keys) keys.push(key);
  }
  return { runs, keys };
}

/** Cuts lines of one source into chunks of a handy size. The first gets the id `firstId`. */
export function cut({ runs: [run], keys }: Stretch, firstId = nextId()): Chunk[] {
  if (run === undefined) return [];
  const { source, from, to } = run;
  const { starts } = source;
  const chunks: Chunk[] = [];
  let id = firstId;
  for (let start = from; start < to; ) {
    let end = Math.min(start + FILL_LINES, to);
    while (end > start + 1 && starts[end]! - starts[start]! > FILL_BYTES) end = start + ((end - start) >> 1);
    chunks.push(
      new Chunk(id, {
        runs: [{ source, from: start, to: end }],
        keys: keys?.slice(start - from, end - from),
      }),
    );
    id = nextId();
    start = end;
  }
  return chunks;
}

/** Makes chunks of lines: one that refers to them, or, where they are many or scattered, new ones with copies. */
export function chunksOf({ runs, keys }: Stretch, firstId: number): Chunk[] {
  const lines = countOf(runs);
  let size = 0;
  for (const { source, from, to } of runs) size += source.starts[to]! - source.starts[from]!;
  if (lines === 0) return [];
  const large = lines > FILL_LINES * 2 || (size > FILL_BYTES * 2 && lines > 1);
  if (!large && runs.length <= MAX_RUNS) return [new Chunk(firstId, { runs, keys })];
  const copy: Stretch = { runs: [{ source: copied(runs, lines, size), from: 0, to: lines }], keys };
  return large ? cut(copy, firstId) : [new Chunk(firstId, copy)];
}

function countOf(runs: readonly Run[]): number {
  let lines = 0;
  for (const { from, to } of runs) lines += to - from;
  return lines;
}

function copied(runs: readonly Run[], lines: number, size: number): Source {
  const bytes = Buffer.allocUnsafe(size);
  const starts = new Uint32Array(lines + 1);
  let line = 0;
  let at = 0;
  for (const { source, from, to } of runs) {
    const base = source.starts[from]!;
    const shift = at - base;
    at += source.bytes.copy(bytes, at, base, source.starts[to]!);
    for (let i = from + 1; i <= to; i++) starts[++line] = source.starts[i]! + shift;
  }
  return { bytes, starts };
}
