import { checkDefaults } from "./check-line.ts";
import type { Document, Place } from "./document.ts";
import type { Edited } from "./edit.ts";
import { crossingMark, ownEnd, preambleEnd } from "./extent.ts";
import { indentationAt } from "./indentation.ts";
import { bodyLine, headerLine, isBlankLine, type LineText, refuse, sourceOf } from "./line-text.ts";
import type { Mark } from "./section.ts";
import { Section } from "./section.ts";
import { type Source, splitLines } from "./source.ts";

/** Where a new section goes: behind another section, or behind everything in a part. */
export type Placement = { readonly after: Section } | { readonly endOf: number };

const NOTHING = Buffer.alloc(0);
const NO_LINES: Source = splitLines(NOTHING);

/**
 * Inserts a section. Its body is indented like its new neighbours; it is set apart by a blank line where its
 * neighbours are. Comments above the next header stay with that header, comments at the end of the file stay there.
 * Behind a section that stands in a conditional block it goes behind the block.
 *
 * Throws FIELD_INVALID for lines that cannot stand so, and for a block that never ends; `metadata.kind` says why.
 */
export function insertSection(
  document: Document,
  placement: Placement,
  header: LineText,
  body: readonly LineText[],
): Edited {
  const named = "after" in placement ? placement.after : document.last(placement.endOf);
  const { section: before, index: end } = placeBehind(document, named);
  const { newline } = document.parts[document.partOf(before)]!;
  const { lines, marks } = before;
  const indentation = indentationAt(document, named, named.length);
  const head = headerLine(header, document.structure);
  const texts = [head, ...body.map((line) => bodyLine(line, document.structure, indentation))];
  if (end === 0) checkFirstLine(head);

  const above = lines.at(end - 1);
  const below = lines.at(end);
  const last = document.neighbour(before, 1) === undefined;
  const spaced = last || [above, below].some((line) => line !== undefined && isBlankLine(line));
  const kept: Buffer[] = [];
  let from = end;
  if (above !== undefined && above.newline === "") {
    from--;
    kept.push(above.bytes);
  }
  if (spaced && above !== undefined && !isBlankLine(above)) kept.push(NOTHING);
  if (spaced && !(last && below === undefined) && !(below !== undefined && isBlankLine(below)))
    texts.push(NOTHING);

  const shortened = before.with(
    lines.splice(from, before.length - from, sourceOf(kept, newline)),
    marks.filter(({ index }) => index < end),
  );
  const { keyword } = document.structure.read(head, 0, head.length)!;
  const own = Section.read(keyword, [], sourceOf(texts, newline), 0, texts.length);
  const tail = lines.splice(0, end, NO_LINES);
  const section = own.with(
    own.lines.splice(texts.length, 0, tail.toSource()),
    moved(marks, end, texts.length - end),
    "new header",
  );
  return { document: document.replaceSections(before, 1, [shortened, section]), section };
}

/**
 * Deletes a section with the comments inside it; those behind its last line, which belong to the next header, stay.
 * Throws FIELD_INVALID when a conditional block starts or ends inside the section, or the scope of those below does.
 */
export function deleteSection(document: Document, section: Section): Document {
  if (section.keyword === "") throw new RangeError("the lines before the first section are no section");
  const end = ownEnd(section);
  if (crossingMark(section, end) !== undefined)
    refuse({ kind: "if", offset: 0 }, "the section holds one end of a conditional block");
  if (section.marks.some(({ kind, index }) => kind === "scope" && index < end))
    refuse({ kind: "scope", offset: 0 }, "the section holds a scope line among its own lines");
  const before = document.neighbour(section, -1)!;
  let rest = end;
  const above = before.lines.at(before.length - 1);
  if (above === undefined || isBlankLine(above))
    while (rest < section.length && isBlankLine(section.lines.at(rest)!)) rest++;
  const tail = section.lines.splice(0, rest, NO_LINES);
  const merged = before.with(before.lines.splice(before.length, 0, tail.toSource()), [
    ...before.marks,
    ...moved(section.marks, rest, before.length - rest),
  ]);
  return document.replaceSections(before, 2, [merged]);
}

/** Behind a section's own lines, and behind every conditional block that these stand in. */
function placeBehind(document: Document, section: Section): Place {
  const part = document.partOf(section);
  const arms = document.armsIn(part);
  let place: Place = { section, index: endOf(document, section) };
  for (;;) {
    if (place.index === 0) return place;
    const line = document.positionOf(place.section, place.index - 1).line;
    if (arms.at(line) === undefined) return place;
    const end = arms.endOf(line);
    if (end === undefined)
      return refuse({ kind: "if", offset: 0 }, "the section stands in a block that never ends");
    const { section: holder, index } = document.placeAt({ part, line: end })!;
    place = { section: holder, index: Math.max(index + 1, endOf(document, holder)) };
  }
}

function endOf(document: Document, section: Section): number {
  if (section.keyword !== "") return ownEnd(section);
  return document.neighbour(section, 1) === undefined ? section.length : preambleEnd(section);
}

function moved(marks: readonly Mark[], from: number, by: number): Mark[] {
  return marks.filter(({ index }) => index >= from).map(({ index, kind }) => ({ index: index + by, kind }));
}

function checkFirstLine(header: Buffer): void {
  const refusal = checkDefaults(header);
  if (refusal !== undefined)
    refuse(refusal, "HAProxy cannot read a default value for a variable in the first line of a file");
}
