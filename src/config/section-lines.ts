import type { Chunk } from "../text/chunk.ts";
import type { Line } from "../text/line.ts";
import type { Section } from "../text/section.ts";

/**
 * Makes a reader of a section's lines that reads each stretch of lines once, however often the section is edited elsewhere: `read` gives what a line says, or undefined for a line that is
 * not of interest. The header is read like any other line. Results must not depend on where the line stands.
 */
export function sectionReader<T>(read: (line: Line) => T | undefined): (section: Section) => readonly T[] {
  const known = new WeakMap<Chunk, T[]>();
  const whole = new WeakMap<Section, T[]>();
  return (section) => {
    const before = whole.get(section);
    if (before !== undefined) return before;
    const found: T[] = [];
    for (const chunk of section.lines.chunks) {
      let own = known.get(chunk);
      if (own === undefined) {
        own = [];
        for (let index = 0; index < chunk.length; index++) {
          const value = read(chunk.at(index));
          if (value !== undefined) own.push(value);
        }
        known.set(chunk, own);
      }
      for (const value of own) found.push(value);
    }
    whole.set(section, found);
    return found;
  };
}

/** Makes a reader of the lines that begin with a keyword: the words behind it, line by line. */
export function directiveReader(keyword: string): (section: Section) => readonly (readonly string[])[] {
  return sectionReader((line) => {
    const [first, ...rest] = line.words;
    return first?.value === keyword ? rest.map((word) => word.value) : undefined;
  });
}
