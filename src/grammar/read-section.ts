import type { Chunk } from "../text/chunk.ts";
import { blocksOf } from "../text/extent.ts";
import type { Line } from "../text/line.ts";
import type { Section } from "../text/section.ts";
import type { Directive } from "./directive.ts";
import type { Order } from "./order.ts";
import { mayShowSecret } from "./secrets.ts";
import type { LineReading, SectionCodec, TextReason, TypedLine } from "./section-codec.ts";
import { type Fields, slotOf } from "./slot.ts";
import { printBranch } from "./version.ts";

/** A line of a section that says something, and where it stands. */
export interface PlacedLine {
  /** Index in the section; 0 is the header. */
  readonly index: number;
  readonly reading: LineReading;
}

/** Why a line is not in the fields of its section's message. */
export type UnmodelledReason =
  | TextReason
  /** It stands in a conditional block, so whether it counts is not known. */
  | { readonly kind: "conditional" }
  /** The same directive stands again below, and that one counts. */
  | { readonly kind: "superseded" };

/** A line that no field stands for. */
export interface UnmodelledLine {
  readonly index: number;
  readonly reason: UnmodelledReason;
  /** The directive, where the line begins with a known one. */
  readonly directive: Directive | undefined;
}

/** A section as the grammar understands it. */
export interface SectionReading {
  /** The section's message, without name, `from` and unmodelled lines. */
  readonly message: Fields;
  /** For each directive the lines that its field comes from, in order. */
  readonly lines: ReadonlyMap<Directive, readonly (TypedLine & { readonly index: number })[]>;
  readonly unmodelled: readonly UnmodelledLine[];
}

/** Which lines of a section are looked at. */
export interface ReadOptions {
  /** The directives whose elements are resources of their own (`child`) are read as well. */
  readonly children: boolean;
}

/**
 * Reads a section into its message. Never fails: a line that the grammar does not know is listed as unmodelled. What was read is
 * kept with the lines' chunks, so that reading a section again after an edit costs little.
 */
export function readSection(codec: SectionCodec, section: Section, options: ReadOptions): SectionReading {
  const message = codec.create();
  const lines = new Map<Directive, (TypedLine & { index: number })[]>();
  const unmodelled: UnmodelledLine[] = [];
  const isConditional = conditionalLines(section);
  for (const { index, reading } of placedLines(codec, section, options)) {
    if (reading.kind === "text") {
      const { reason } = reading;
      unmodelled.push({ index, reason, directive: "directive" in reason ? reason.directive : undefined });
      continue;
    }
    const { directive } = reading;
    if (isConditional(index)) {
      unmodelled.push({ index, reason: { kind: "conditional" }, directive });
      continue;
    }
    const before = lines.get(directive);
    if (before === undefined) lines.set(directive, [{ ...reading, index }]);
    else if (directive.repeated) before.push({ ...reading, index });
    else {
      unmodelled.push({ index: before[0]!.index, reason: { kind: "superseded" }, directive });
      before[0] = { ...reading, index };
    }
  }
  for (const [directive, found] of lines) {
    const slot = slotOf(directive.syntax.field);
    slot.set(message, directive.repeated ? found.map(({ value }) => value) : found[0]!.value);
  }
  unmodelled.sort((a, b) => a.index - b.index);
  return { message, lines, unmodelled };
}

/** The lines of a section that say something, in order: not its header, comments, blanks, nor lines that shape the file. */
export function* placedLines(
  codec: SectionCodec,
  section: Section,
  { children }: ReadOptions,
): Generator<PlacedLine, void, undefined> {
  const marks = new Set(section.marks.map(({ index }) => index));
  let first = 0;
  for (const chunk of section.lines.chunks) {
    for (const { offset, reading } of readChunk(codec, section.keyword, chunk, children)) {
      const index = first + offset;
      if ((index > 0 || section.keyword === "") && !marks.has(index)) yield { index, reading };
    }
    first += chunk.length;
  }
}

interface ChunkLine {
  readonly offset: number;
  readonly reading: LineReading;
}

/** What was read from chunks, apart for those read with and without children. */
const READ = [
  new WeakMap<Chunk, readonly ChunkLine[]>(),
  new WeakMap<Chunk, readonly ChunkLine[]>(),
] as const;

function readChunk(codec: SectionCodec, kind: string, chunk: Chunk, children: boolean): readonly ChunkLine[] {
  const known = READ[children ? 1 : 0];
  let lines = known.get(chunk);
  if (lines === undefined) {
    const all = children ? undefined : READ[1].get(chunk);
    lines = all?.filter(({ offset, reading }) => !isChildReading(codec, chunk, offset, reading)) ?? [
      ...readLines(codec, kind, chunk, children),
    ];
    known.set(chunk, lines);
  }
  return lines;
}

function* readLines(
  codec: SectionCodec,
  kind: string,
  chunk: Chunk,
  children: boolean,
): Generator<ChunkLine> {
  for (let offset = 0; offset < chunk.length; offset++) {
    const line = chunk.at(offset);
    if (line.empty) continue;
    if (!children && isChild(codec, line)) continue;
    yield { offset, reading: readLineOf(codec, kind, line) };
  }
}

/** The same as `isChild` for a line that was read before, without looking at its words again. */
function isChildReading(codec: SectionCodec, chunk: Chunk, offset: number, reading: LineReading): boolean {
  if (reading.kind === "typed") return reading.directive.syntax.child === true;
  return isChild(codec, chunk.at(offset));
}

function isChild(codec: SectionCodec, line: Line): boolean {
  return codec.find(line.words)?.directive.syntax.child === true;
}

/** Reads one line of a section. The order of its parts is noted in `order`. */
export function readLineOf(codec: SectionCodec, kind: string, line: Line, order?: Order): LineReading {
  const { words, error } = line;
  if (error !== undefined || words.some(({ utf8, expands }) => !utf8 || expands))
    return { kind: "text", reason: { kind: "unreadable" } };
  return codec.read(words, kind, order);
}

/** Tells, asked in ascending order, which lines of a section stand in a conditional block that the header does not stand in. */
function conditionalLines(section: Section): (index: number) => boolean {
  const blocks = section.marks.length === 0 ? [] : blocksOf(section);
  let next = 0;
  return (index) => {
    while (next < blocks.length && (blocks[next]!.to ?? section.length) <= index) next++;
    return next < blocks.length && index > blocks[next]!.from;
  };
}

/** A reason in words. */
export function describeReason(reason: UnmodelledReason): string {
  switch (reason.kind) {
    case "unreadable":
      return "HAProxy cannot split the line into words, or it holds bytes that are not UTF-8 or a list of the environment";
    case "unknown":
      return "the keyword is not known";
    case "removed": {
      const { until, instead } = reason.removed;
      return `removed in HAProxy ${printBranch(until)}${instead && `; use ${instead}`}`;
    }
    case "elsewhere":
      return "HAProxy ignores the keyword in this kind of section";
    case "words":
      return "the keyword is known, but not with these words";
    case "conditional":
      return "it stands in a conditional block";
    case "superseded":
      return "the same keyword stands again below";
  }
}

/** What stands in place of a text that may be a secret. */
export const HIDDEN = "…";

/** An unmodelled line as it may be shown: where there may be a secret, all that follows the keyword is hidden. */
export function shownText(codec: SectionCodec, line: Line, directive: Directive | undefined): string {
  const known = directive ?? codec.find(line.words)?.directive;
  if (known === undefined || !mayShowSecret(known, line.words)) return line.text.trim();
  return `${known.syntax.keyword.join(" ")} ${HIDDEN}`;
}
