import { DomainError } from "../lib/errors.ts";
import { checkDefaults, checkLine, checkWords, type LineRefusal } from "./check-line.ts";
import type { Document } from "./document.ts";
import type { Line } from "./line.ts";
import { type Mark, Section } from "./section.ts";
import { type Source, splitLines } from "./source.ts";

/** A line to be written, indentation included and without line ending. */
export type LineText = string | Buffer;

/** What an edit gives: the new document, and the section in it. */
export interface Edited {
  readonly document: Document;
  readonly section: Section;
}

/**
 * Replaces `deleteCount` lines of a section, from line `start` on, by others. The header (line 0) stays out of
 * reach, see {@link replaceHeader}, and so do lines that shape the file. New lines get the line ending of their
 * neighbours, and a last line without one gets it as soon as something follows.
 *
 * Throws FIELD_INVALID for a line that HAProxy could not read or that would shape the file; `metadata.kind` says why.
 */
export function spliceLines(
  document: Document,
  section: Section,
  start: number,
  deleteCount: number,
  lines: readonly LineText[],
): Edited {
  const first = section.keyword === "" ? 0 : 1;
  const end = start + deleteCount;
  if (start < first || deleteCount < 0 || end > section.length) throw new RangeError("no such lines");
  for (const { index, kind } of section.marks)
    if (index >= start && index < end)
      refuse({ kind, offset: 0 }, "a line that shapes the file cannot be replaced");
  const buffers = lines.map((line) => checked(document, toBuffer(line)));
  return splice(document, section, start, deleteCount, buffers);
}

/** Replaces one line, as {@link spliceLines} does. */
export function replaceLine(document: Document, section: Section, index: number, line: LineText): Edited {
  return spliceLines(document, section, index, 1, [line]);
}

/** Inserts lines before line `index`, indented like the lines beside them. */
export function insertLines(
  document: Document,
  section: Section,
  index: number,
  lines: readonly LineText[],
): Edited {
  const indentation = indentationAt(document, section, index);
  return spliceLines(
    document,
    section,
    index,
    0,
    lines.map((line) => indented(line, indentation)),
  );
}

/** Deletes lines. */
export function deleteLines(document: Document, section: Section, start: number, count: number): Edited {
  return spliceLines(document, section, start, count, []);
}

/** Replaces the header line; it must start with the same section keyword. */
export function replaceHeader(document: Document, section: Section, header: LineText): Edited {
  const line = checkedHeader(document, header);
  if (document.structure.read(line, 0, line.length)!.keyword !== section.keyword)
    refuse({ kind: "section", offset: 0 }, "the section keyword cannot change");
  return splice(document, section, 0, 1, [line]);
}

/** Where a new section goes: behind another section, or behind everything in a part. */
export type Placement = { readonly after: Section } | { readonly endOf: number };

/**
 * Inserts a section. Its body is indented like its new neighbours; it is set apart by a blank line where its
 * neighbours are. Comments above the next header stay with that header, comments at the end of the file stay there.
 */
export function insertSection(
  document: Document,
  placement: Placement,
  header: LineText,
  body: readonly LineText[],
): Edited {
  const before = "after" in placement ? placement.after : document.last(placement.endOf);
  const { newline } = document.parts[document.partOf(before)]!;
  const head = checkedHeader(document, header);
  const indentation = indentationAt(document, before, before.length);
  const own = [head, ...body.map((line) => checked(document, indented(line, indentation)))];
  const next = document.neighbour(before, 1);
  const end = ownEnd(before, next !== undefined);
  if (end === 0) checkFirstLine(head);
  const { lines } = before;
  const above = lines.at(end - 1);
  const below = lines.at(end);
  const spaced = next === undefined || [above, below].some((line) => line !== undefined && isBlankLine(line));
  if (spaced && next !== undefined && (below === undefined || !isBlankLine(below))) own.push(NOTHING);

  const kept: Buffer[] = [];
  let from = end;
  if (above !== undefined && above.newline === "") {
    from--;
    kept.push(above.bytes);
  }
  if (spaced && above !== undefined && !isBlankLine(above)) kept.push(NOTHING);
  const shortened = before.with(
    lines.splice(from, before.length - from, sourceOf(kept, newline)),
    before.marks.filter(({ index }) => index < end),
  );
  const tail = joined(lines.splice(0, end, NO_LINES));
  const written = sourceOf(own, newline);
  const count = own.length;
  const { keyword } = document.structure.read(head, 0, head.length)!;
  const added = Section.read(keyword, before.scope, [], written, 0, count);
  const section = added.with(
    added.lines.splice(count, 0, tail),
    before.marks.filter(({ index }) => index >= end).map((mark) => shifted(mark, count - end)),
  );
  return { document: document.replaceSections(before, 1, [shortened, section]), section };
}

/**
 * Deletes a section with the comments inside it; those behind its last line, which belong to the next header,
 * stay. Refused with FIELD_INVALID when a conditional block starts or ends inside the section.
 */
export function deleteSection(document: Document, section: Section): Document {
  if (section.keyword === "") throw new RangeError("the lines before the first section are no section");
  const end = ownEnd(section, true);
  let depth = 0;
  for (const { index, kind } of section.marks) {
    if (index >= end) break;
    if (kind === "if") depth++;
    if (kind === "endif") depth--;
    if (depth < 0 || kind === "scope" || (depth === 0 && (kind === "elif" || kind === "else")))
      refuse({ kind, offset: 0 }, "the section does not hold this line's block as a whole");
  }
  if (depth > 0) refuse({ kind: "if", offset: 0 }, "the section does not hold this line's block as a whole");
  const before = document.neighbour(section, -1)!;
  let tail = end;
  const above = before.lines.at(before.length - 1);
  if (above === undefined || isBlankLine(above))
    while (tail < section.length && isBlankLine(section.lines.at(tail)!)) tail++;
  const rest = section.lines.splice(0, tail, NO_LINES);
  const marks = section.marks.filter(({ index }) => index >= tail);
  const merged = before.with(before.lines.splice(before.length, 0, joined(rest)), [
    ...before.marks,
    ...marks.map((mark) => shifted(mark, before.length - tail)),
  ]);
  return document.replaceSections(before, 2, [merged]);
}

/**
 * The index behind the last line that is the section's own. What follows it belongs to what comes next: blank lines,
 * comments, scope lines, and `.if` lines whose block holds the next section. Of the lines before the first section,
 * only a comment right above that section, and not at the very start of the file, belongs to it.
 */
export function ownEnd(section: Section, followed: boolean): number {
  const { keyword, lines, marks } = section;
  if (keyword === "" && !followed) return section.length;
  let end = section.length;
  let mark = marks.length - 1;
  for (; end > 0; end--) {
    const line = lines.at(end - 1)!;
    const kind = marks[mark]?.index === end - 1 ? marks[mark--]!.kind : undefined;
    if (kind === "scope" || kind === "if") continue;
    if (!line.empty || (keyword === "" && isBlankLine(line))) break;
  }
  return keyword === "" && end === 0 ? section.length : end;
}

const NOTHING = Buffer.alloc(0);
const NO_LINES: Source = splitLines(NOTHING);

function splice(
  document: Document,
  section: Section,
  start: number,
  deleteCount: number,
  buffers: readonly Buffer[],
): Edited {
  const end = start + deleteCount;
  if (start === 0 && buffers.length > 0 && document.positionOf(section).line === 1)
    checkFirstLine(buffers[0]!);
  const beside = section.lines.at(Math.max(start, 1) - 1)?.newline || section.lines.at(start)?.newline;
  const newline = beside || document.parts[document.partOf(section)]!.newline;
  let from = start;
  let inserted = buffers;
  // A line that lost its place as the last of the file needs the line ending that it never had.
  const above = start > 0 ? section.lines.at(start - 1)! : undefined;
  if (above !== undefined && above.newline === "" && buffers.length > 0) {
    from--;
    inserted = [above.bytes, ...buffers];
  }
  const lines = section.lines.splice(from, end - from, sourceOf(inserted, newline));
  const shift = buffers.length - deleteCount;
  const marks =
    shift === 0 || section.marks.length === 0
      ? section.marks
      : section.marks.map((mark) => (mark.index >= end ? shifted(mark, shift) : mark));
  const changed = section.with(lines, marks, start === 0 ? "new header" : "same header");
  return { document: document.replaceSections(section, 1, [changed]), section: changed };
}

function shifted(mark: Mark, by: number): Mark {
  return { index: mark.index + by, kind: mark.kind };
}

function joined(lines: Iterable<Line>): Source {
  return splitLines(Buffer.concat(Array.from(lines, (line) => line.bytes)));
}

/** Lines as a source, each with the line ending. */
function sourceOf(lines: readonly Buffer[], newline: string): Source {
  let size = 0;
  for (const line of lines) size += line.length + newline.length;
  const bytes = Buffer.allocUnsafe(size);
  const starts = new Uint32Array(lines.length + 1);
  let at = 0;
  for (let i = 0; i < lines.length; i++) {
    at += lines[i]!.copy(bytes, at);
    at += bytes.write(newline, at, "latin1");
    starts[i + 1] = at;
  }
  return { bytes, starts };
}

function checked(document: Document, line: Buffer): Buffer {
  const refusal = checkLine(line, document.structure);
  if (refusal !== undefined) refuse(refusal);
  return line;
}

function checkFirstLine(line: Buffer): void {
  const refusal = checkDefaults(line);
  if (refusal !== undefined)
    refuse(refusal, "a default value for a variable cannot be read in the first line");
}

function toBuffer(line: LineText): Buffer {
  return typeof line === "string" ? Buffer.from(line) : line;
}

function indented(line: LineText, indentation: string): Buffer {
  return Buffer.concat([Buffer.from(indentation), toBuffer(line)]);
}

function isBlankLine(line: Line): boolean {
  return line.empty && line.comment < 0;
}

function checkedHeader(document: Document, header: LineText): Buffer {
  const line = toBuffer(header);
  const feed = line.indexOf(10);
  if (feed >= 0) refuse({ kind: "break", offset: feed });
  if (document.structure.read(line, 0, line.length)?.kind !== "section")
    refuse({ kind: "section", offset: 0 }, "the header must start with a section keyword");
  const refusal = checkWords(line);
  if (refusal !== undefined) refuse(refusal);
  return line;
}

/** The indentation a new line gets: that of the nearest line of the section, else of a section nearby. */
function indentationAt(document: Document, section: Section, index: number): string {
  const own = bodyIndentation(section, index);
  if (own !== undefined) return own;
  for (const step of [-1, 1] as const) {
    let beside = document.neighbour(section, step);
    for (let tries = 0; beside !== undefined && tries < 16; tries++) {
      const found = bodyIndentation(beside, beside.length);
      if (found !== undefined) return found;
      beside = document.neighbour(beside, step);
    }
  }
  return "    ";
}

function bodyIndentation(section: Section, index: number): string | undefined {
  if (section.keyword === "") return undefined;
  for (let i = Math.min(index, section.length) - 1; i > 0; i--) {
    const line = section.lines.at(i)!;
    if (!line.empty) return line.indentation;
  }
  for (let i = Math.max(index, 1); i < section.length; i++) {
    const line = section.lines.at(i)!;
    if (!line.empty) return line.indentation;
  }
  return undefined;
}

function refuse(refusal: LineRefusal, why = "the line cannot stand here"): never {
  throw new DomainError("FIELD_INVALID", why, {
    metadata: { kind: refusal.kind, offset: String(refusal.offset) },
  });
}
