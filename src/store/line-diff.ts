import type { Edit } from "./delta.ts";

/** How one file's content differs between two revisions. */
export interface FileEdits {
  readonly path: string;
  readonly change: "added" | "changed" | "removed";
  /** Whole lines that were replaced, in order. */
  readonly lines: readonly LineEdit[];
}

/** Lines that were replaced by others. */
export interface LineEdit {
  /** Number of the first replaced line in the content before, from 1. */
  readonly beforeLine: number;
  /** The replaced lines, with their ends of line; empty for an insertion. */
  readonly before: Uint8Array;
  /** Number of the first new line in the content after, from 1. */
  readonly afterLine: number;
  /** What stands there instead; empty for a deletion. */
  readonly after: Uint8Array;
}

/**
 * The edits that make `after` of `before`, each of whole lines. Lines that occur once on both sides are matched first (patience diff), which finds what a person would
 * call the change and takes no more than about n log n steps; where there are none, the stretch is replaced as a whole. The result need not be the shortest.
 */
export function diffContent(before: Uint8Array, after: Uint8Array): Edit[] {
  return hunks(before, after).map(({ a, b }) => ({
    offset: a.start,
    length: a.end - a.start,
    bytes: after.subarray(b.start, b.end),
  }));
}

/** The same as `diffContent`, told in lines. */
export function diffLines(before: Uint8Array, after: Uint8Array): LineEdit[] {
  const countBefore = lineCounter(before);
  const countAfter = lineCounter(after);
  return hunks(before, after).map(({ a, b }) => ({
    beforeLine: countBefore(a.start),
    before: before.slice(a.start, a.end),
    afterLine: countAfter(b.start),
    after: after.slice(b.start, b.end),
  }));
}

interface Range {
  readonly start: number;
  readonly end: number;
}

interface Hunk {
  readonly a: Range;
  readonly b: Range;
}

// How deep stretches between matched lines are looked into. Real files need two or three; the bound is for made-up ones.
const MAX_DEPTH = 32;
const NEWLINE = 0x0a;

function hunks(before: Uint8Array, after: Uint8Array): Hunk[] {
  const prefix = lineStart(before, commonPrefix(before, after));
  const suffix = commonLineSuffix(before, after, prefix);
  const ids = new Map<string, number>();
  const a = split(before, prefix, before.length - suffix, ids);
  const b = split(after, prefix, after.length - suffix, ids);
  const result: Hunk[] = [];
  compare({ a, b, result }, 0, a.ids.length, 0, b.ids.length, 0);
  return result;
}

/** The lines of a stretch: the number that stands for each one's text, and where each begins (one more: where the last ends). */
interface Lines {
  readonly ids: readonly number[];
  readonly starts: readonly number[];
}

function split(content: Uint8Array, from: number, to: number, ids: Map<string, number>): Lines {
  const buffer = Buffer.from(content.buffer, content.byteOffset, content.length);
  const lines: number[] = [];
  const starts: number[] = [from];
  for (let start = from; start < to; ) {
    const newline = buffer.indexOf(NEWLINE, start);
    const end = newline === -1 || newline >= to ? to : newline + 1;
    const text = buffer.toString("latin1", start, end);
    let id = ids.get(text);
    if (id === undefined) {
      id = ids.size;
      ids.set(text, id);
    }
    lines.push(id);
    starts.push(end);
    start = end;
  }
  return { ids: lines, starts };
}

interface Comparison {
  readonly a: Lines;
  readonly b: Lines;
  readonly result: Hunk[];
}

function compare(c: Comparison, a0: number, a1: number, b0: number, b1: number, depth: number): void {
  const { a, b, result } = c;
  let [aStart, aEnd, bStart, bEnd] = [a0, a1, b0, b1];
  while (aStart < aEnd && bStart < bEnd && a.ids[aStart] === b.ids[bStart]) {
    aStart += 1;
    bStart += 1;
  }
  while (aStart < aEnd && bStart < bEnd && a.ids[aEnd - 1] === b.ids[bEnd - 1]) {
    aEnd -= 1;
    bEnd -= 1;
  }
  if (aStart === aEnd && bStart === bEnd) return;
  const matches =
    depth < MAX_DEPTH && aStart < aEnd && bStart < bEnd ? uniqueMatches(c, aStart, aEnd, bStart, bEnd) : [];
  if (matches.length === 0) {
    result.push({
      a: { start: a.starts[aStart] ?? 0, end: a.starts[aEnd] ?? 0 },
      b: { start: b.starts[bStart] ?? 0, end: b.starts[bEnd] ?? 0 },
    });
    return;
  }
  for (const match of matches) {
    compare(c, aStart, match.a, bStart, match.b, depth + 1);
    aStart = match.a + 1;
    bStart = match.b + 1;
  }
  compare(c, aStart, aEnd, bStart, bEnd, depth + 1);
}

interface Match {
  readonly a: number;
  readonly b: number;
}

/** Lines that occur once in each stretch, as many as can be matched in the order of both. */
function uniqueMatches({ a, b }: Comparison, a0: number, a1: number, b0: number, b1: number): Match[] {
  const onceInA = positionsOfUnique(a.ids, a0, a1);
  const onceInB = positionsOfUnique(b.ids, b0, b1);
  const common: Match[] = [];
  for (const [id, position] of onceInA) {
    const other = onceInB.get(id);
    if (other !== undefined) common.push({ a: position, b: other });
  }
  return longestIncreasing(common.sort((x, y) => x.a - y.a));
}

function positionsOfUnique(ids: readonly number[], from: number, to: number): Map<number, number> {
  const seen = new Map<number, number>();
  const repeated: number[] = [];
  for (let i = from; i < to; i += 1) {
    const id = ids[i] ?? -1;
    if (seen.has(id)) repeated.push(id);
    else seen.set(id, i);
  }
  for (const id of repeated) seen.delete(id);
  return seen;
}

/** The longest part of the matches, taken in the order of `a`, that is in the order of `b` too. */
function longestIncreasing(matches: readonly Match[]): Match[] {
  interface Link {
    readonly match: Match;
    readonly previous: Link | undefined;
  }
  // tails[n] ends the increasing sequence of n + 1 matches whose end is smallest.
  const tails: Link[] = [];
  for (const match of matches) {
    let low = 0;
    let high = tails.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((tails[middle]?.match.b ?? 0) < match.b) low = middle + 1;
      else high = middle;
    }
    tails[low] = { match, previous: tails[low - 1] };
  }
  const result: Match[] = [];
  for (let link = tails.at(-1); link !== undefined; link = link.previous) result.push(link.match);
  return result.reverse();
}

function commonPrefix(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  // Whole blocks first: comparing them is a call into memcmp.
  const block = 65_536;
  while (
    at + block <= length &&
    Buffer.compare(a.subarray(at, at + block), b.subarray(at, at + block)) === 0
  ) {
    at += block;
  }
  while (at < length && a[at] === b[at]) at += 1;
  return at;
}

/** Length of the longest common end that begins a line on both sides and leaves the prefix alone. */
function commonLineSuffix(a: Uint8Array, b: Uint8Array, prefix: number): number {
  const limit = Math.min(a.length, b.length) - prefix;
  let length = 0;
  const block = 65_536;
  const blocksEqual = () =>
    Buffer.compare(
      a.subarray(a.length - length - block, a.length - length),
      b.subarray(b.length - length - block, b.length - length),
    ) === 0;
  while (length + block <= limit && blocksEqual()) length += block;
  while (length < limit && a[a.length - length - 1] === b[b.length - length - 1]) length += 1;
  // The suffix may begin within a line, or be preceded by different bytes that happen to end one: step forward to a start of line on both sides.
  while (
    length > 0 &&
    !(startsLine(a, a.length - length, prefix) && startsLine(b, b.length - length, prefix))
  ) {
    length -= 1;
  }
  return length;
}

function startsLine(content: Uint8Array, at: number, prefix: number): boolean {
  return at === prefix || content[at - 1] === NEWLINE;
}

function lineStart(content: Uint8Array, at: number): number {
  let start = at;
  while (start > 0 && content[start - 1] !== NEWLINE) start -= 1;
  return start;
}

/** Turns ascending offsets of line starts into line numbers from 1. */
function lineCounter(content: Uint8Array): (offset: number) => number {
  let line = 1;
  let at = 0;
  return (offset) => {
    for (; at < offset; at += 1) if (content[at] === NEWLINE) line += 1;
    return line;
  };
}
