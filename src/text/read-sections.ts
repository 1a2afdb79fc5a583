import { type Mark, Section } from "./section.ts";
import { splitLines } from "./source.ts";
import type { StructureReader } from "./structure.ts";

const NO_MARKS: readonly Mark[] = [];

/** Reads the sections of a file; the lines before the first header come first, as a section without keyword. */
export function readSections(bytes: Buffer, structure: StructureReader): Section[] {
  const source = splitLines(bytes);
  const { starts } = source;
  const count = starts.length - 1;
  const sections: Section[] = [];
  let keyword = "";
  let first = 0;
  let marks: Mark[] | undefined;
  for (let line = 0; line < count; line++) {
    const found = structure.read(bytes, starts[line]!, starts[line + 1]!);
    if (found === undefined) continue;
    if (found.kind === "section") {
      sections.push(Section.read(keyword, marks ?? NO_MARKS, source, first, line));
      keyword = found.keyword;
      first = line;
      marks = undefined;
    } else {
      marks ??= [];
      marks.push({ index: line - first, kind: found.kind });
    }
  }
  sections.push(Section.read(keyword, marks ?? NO_MARKS, source, first, count));
  return sections;
}
