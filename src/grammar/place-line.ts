import { ownEnd, placeBeforeBlock } from "../text/extent.ts";
import type { Section } from "../text/section.ts";
import type { Directive } from "./directive.ts";
import { placedLines, type SectionReading } from "./read-section.ts";
import type { SectionCodec } from "./section-codec.ts";

/**
 * The index before which the first line of a directive goes in a section that has none: above what depends on it, else behind the last
 * line whose keyword begins with the same word, else where the order of the declaration puts it.
 */
export function placeLine(
  codec: SectionCodec,
  section: Section,
  reading: SectionReading,
  directive: Directive,
  defined: readonly string[],
): number {
  const { syntax } = directive;
  const family = lastOf(reading, (other) => other.syntax.keyword[0] === syntax.keyword[0]);
  const first = Math.min(firstDependent(codec, section, directive), firstUse(section, defined));
  // Where nothing depends on it, a block behind the section's own lines is no limit.
  const limit = first === Number.POSITIVE_INFINITY ? first : placeBeforeBlock(section, first);
  if (family !== undefined && family < limit) return family + 1;
  if (limit !== Number.POSITIVE_INFINITY) return limit;
  const rank = codec.directives.indexOf(directive);
  const lower = lastOf(reading, (other) => codec.directives.indexOf(other) < rank);
  if (lower !== undefined) return lower + 1;
  const higher = firstOf(reading, (other) => codec.directives.indexOf(other) > rank);
  return higher ?? ownEnd(section);
}

/** The first line of a directive that must stand below. */
function firstDependent(codec: SectionCodec, section: Section, { syntax }: Directive): number {
  if (syntax.before.length === 0) return Number.POSITIVE_INFINITY;
  for (const { index, reading } of placedLines(codec, section, { children: true }))
    if (reading.kind === "typed" && syntax.before.includes(reading.directive.syntax.field.name)) return index;
  return Number.POSITIVE_INFINITY;
}

/** The first line that uses one of the names, also negated. */
function firstUse(section: Section, names: readonly string[]): number {
  if (names.length === 0) return Number.POSITIVE_INFINITY;
  const words = new Set(names.flatMap((name) => [name, `!${name}`]));
  let index = 0;
  for (const line of section.lines) {
    // A name that a line defines is not a use of it.
    if (index > 0 && line.words.some(({ value }, at) => at > 1 && words.has(value))) return index;
    index++;
  }
  return Number.POSITIVE_INFINITY;
}

function lastOf(reading: SectionReading, matches: (directive: Directive) => boolean): number | undefined {
  let last: number | undefined;
  for (const [directive, lines] of reading.lines) {
    const index = lines.at(-1)!.index;
    if (matches(directive) && (last === undefined || index > last)) last = index;
  }
  return last;
}

function firstOf(reading: SectionReading, matches: (directive: Directive) => boolean): number | undefined {
  let first: number | undefined;
  for (const [directive, lines] of reading.lines) {
    const { index } = lines[0]!;
    if (matches(directive) && (first === undefined || index < first)) first = index;
  }
  return first;
}
