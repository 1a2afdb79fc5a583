import { checkDefaults } from "./check-line.ts";
import type { Document } from "./document.ts";
import { indentationAt } from "./indentation.ts";
import { bodyLine, headerLine, type LineText, refuse, sourceOf } from "./line-text.ts";
import type { Section } from "./section.ts";

/** What an edit gives: the new document, and the section in it. */
export interface Edited {
  readonly document: Document;
  readonly section: Section;
}

/**
 * Replaces `deleteCount` lines of a section, from line `start` on, by others, which bring their indentation along. The
 * header (line 0) is out of reach, see {@link replaceHeader}, and so are the lines that shape the file. New lines get
 * the line ending of their neighbours, and a last line without one gets it when something follows.
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
  const texts = lines.map((line) => bodyLine(line, document.structure));
  return splice(document, section, start, deleteCount, texts);
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
  const texts = lines.map((line) => bodyLine(line, document.structure, indentation));
  return spliceLines(document, section, index, 0, texts);
}

/** Deletes lines, as {@link spliceLines} does. */
export function deleteLines(document: Document, section: Section, start: number, count: number): Edited {
  return spliceLines(document, section, start, count, []);
}

/** Replaces the header line; it must start with the same section keyword. */
export function replaceHeader(document: Document, section: Section, header: LineText): Edited {
  if (section.keyword === "") throw new RangeError("the lines before the first section have no header");
  const text = headerLine(header, document.structure);
  if (document.structure.read(text, 0, text.length)!.keyword !== section.keyword)
    refuse({ kind: "section", offset: 0 }, "the section keyword cannot change");
  return splice(document, section, 0, 1, [text]);
}

function splice(
  document: Document,
  section: Section,
  start: number,
  deleteCount: number,
  texts: readonly Buffer[],
): Edited {
  const end = start + deleteCount;
  if (start === 0 && texts.length > 0) checkFirstLine(document, section, texts[0]!);
  const above = start > 0 ? section.lines.at(start - 1) : undefined;
  const old = section.lines.at(start);
  const newline =
    (deleteCount > 0 ? old?.newline : above?.newline) ||
    above?.newline ||
    document.parts[document.partOf(section)]!.newline;
  let from = start;
  let written = texts;
  if (above !== undefined && above.newline === "" && texts.length > 0) {
    // What was the last line of the file needs the line ending that it never had.
    from--;
    written = [above.bytes, ...texts];
  }
  const lines = section.lines.splice(from, end - from, sourceOf(written, newline));
  const shift = texts.length - deleteCount;
  const marks =
    shift === 0 || section.marks.length === 0
      ? section.marks
      : section.marks.map((mark) =>
          mark.index >= end ? { index: mark.index + shift, kind: mark.kind } : mark,
        );
  const changed = section.with(lines, marks, start === 0 ? "new header" : "same header");
  return { document: document.replaceSections(section, 1, [changed]), section: changed };
}

function checkFirstLine(document: Document, section: Section, text: Buffer): void {
  const refusal = checkDefaults(text);
  if (refusal !== undefined && document.positionOf(section).line === 1)
    refuse(refusal, "HAProxy cannot read a default value for a variable in the first line of a file");
}
