import type { Document } from "./document.ts";
import type { Section } from "./section.ts";

const USUAL = "    ";
/** How many sections on either side are asked. */
const REACH = 16;

/** The indentation that a line gets before line `index`: that of the nearest line of the section, else of a section nearby. */
export function indentationAt(document: Document, section: Section, index: number): string {
  const own = inSection(section, index);
  if (own !== undefined) return own;
  for (const step of [-1, 1] as const) {
    let beside = document.neighbour(section, step);
    for (let tries = 0; beside !== undefined && tries < REACH; tries++) {
      const found = inSection(beside, beside.length);
      if (found !== undefined) return found;
      beside = document.neighbour(beside, step);
    }
  }
  return USUAL;
}

function inSection(section: Section, index: number): string | undefined {
  if (section.keyword === "") return undefined;
  const marks = new Set(section.marks.map((mark) => mark.index));
  const at = (line: number) => {
    const found = marks.has(line) ? undefined : section.lines.at(line);
    return found === undefined || found.empty ? undefined : found.indentation;
  };
  for (let i = Math.min(index, section.length) - 1; i > 0; i--) {
    const indentation = at(i);
    if (indentation !== undefined) return indentation;
  }
  for (let i = Math.max(index, 1); i < section.length; i++) {
    const indentation = at(i);
    if (indentation !== undefined) return indentation;
  }
  return undefined;
}
