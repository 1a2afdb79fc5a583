import { isBlankLine } from "./line-text.ts";
import type { Mark, Section } from "./section.ts";

/**
 * The index behind the last line that is the section's own: where lines may be added. What follows it belongs to what comes
 * next: blank lines, comments, scope lines, the `.if` that holds the next section, the end of a block that the section
 * stands in.
 */
export function ownEnd(section: Section): number {
  const { lines, marks } = section;
  const foreign = foreignMarks(section);
  let mark = marks.length - 1;
  let end = section.length;
  for (; end > 1; end--) {
    if (marks[mark]?.index === end - 1) {
      const { kind } = marks[mark]!;
      if (kind !== "scope" && kind !== "if" && !foreign.has(marks[mark]!)) break;
      mark--;
    } else if (!lines.at(end - 1)!.empty) break;
  }
  return end;
}

/**
 * Of the lines before the first section, the index behind those that are about the file. A comment right above the
 * section is about that, unless the file starts with it.
 */
export function preambleEnd(preamble: Section): number {
  const { lines, marks } = preamble;
  let mark = marks.length - 1;
  let end = preamble.length;
  for (; end > 0; end--) {
    if (marks[mark]?.index === end - 1) mark--;
    else if (isBlankLine(lines.at(end - 1)!)) break;
  }
  return placeBehindBlock(preamble, end === 0 ? preamble.length : end);
}

/** Lines of a section that stand in a conditional block which its header does not stand in. */
export interface Block {
  /** The line that begins them: the `.if`, or the line that ends the header's arm. */
  readonly from: number;
  /** The `.endif`; undefined when the block goes on beyond the section. */
  readonly to: number | undefined;
}

/** The outermost conditional blocks of a section, in order. */
export function blocksOf({ marks }: Section): readonly Block[] {
  const blocks: Block[] = [];
  let depth = 0;
  let from = 0;
  for (const { index, kind } of marks) {
    if (kind === "if") {
      if (depth++ === 0) from = index;
    } else if (kind === "endif" && depth > 0) {
      if (--depth === 0) blocks.push({ from, to: index });
    } else if ((kind === "endif" || kind === "elif" || kind === "else") && depth === 0) {
      // The block began above the header: what follows is read when the header is not.
      return [...blocks, { from: index, to: undefined }];
    }
  }
  return depth === 0 ? blocks : [...blocks, { from, to: undefined }];
}

/** The nearest index from `index` on where a line can be added that counts whenever the section does; above a block without end. */
export function placeBehindBlock(section: Section, index: number): number {
  const block = blockAt(section, index);
  if (block === undefined) return index;
  return block.to === undefined ? block.from : block.to + 1;
}

/** The nearest index up to `index` where a line can be added that counts whenever the section does. */
export function placeBeforeBlock(section: Section, index: number): number {
  return blockAt(section, index)?.from ?? index;
}

/** The block that a line added before line `index` would stand in. */
function blockAt(section: Section, index: number): Block | undefined {
  if (section.marks.length === 0) return undefined;
  return blocksOf(section).find(({ from, to }) => index > from && (to === undefined || index <= to));
}

/** The conditional lines whose block begins before the section. */
function foreignMarks(section: Section): ReadonlySet<Mark> {
  const foreign = new Set<Mark>();
  let depth = 0;
  for (const mark of section.marks) {
    if (mark.kind === "if") depth++;
    else if (mark.kind === "elif" || mark.kind === "else" || mark.kind === "endif") {
      if (depth === 0) foreign.add(mark);
      else if (mark.kind === "endif") depth--;
    }
  }
  return foreign;
}

/** The line among the first `end` of a section that opens or closes a conditional block which does not lie within them as a whole. */
export function crossingMark(section: Section, end: number): Mark | undefined {
  const foreign = foreignMarks(section);
  const open: Mark[] = [];
  for (const mark of section.marks) {
    if (mark.index >= end) break;
    if (foreign.has(mark)) return mark;
    if (mark.kind === "if") open.push(mark);
    else if (mark.kind === "endif") open.pop();
  }
  return open[0];
}
