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
  return end === 0 ? preamble.length : end;
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

/** True when the blocks that the first `end` lines open or close lie within them as a whole. */
export function isBalanced(section: Section, end: number): boolean {
  const foreign = foreignMarks(section);
  let depth = 0;
  for (const mark of section.marks) {
    if (mark.index >= end) break;
    if (foreign.has(mark)) return false;
    if (mark.kind === "if") depth++;
    else if (mark.kind === "endif") depth--;
  }
  return depth === 0;
}
