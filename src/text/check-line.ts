import type { StructureKind, StructureReader } from "./structure.ts";
import { parseValue } from "./value.ts";
import type { WordErrorKind } from "./word.ts";
import { lexWords } from "./words.ts";

/**
 * Why a line must not be put into a section: HAProxy could not read it; it holds a line break; it would start a section, a
 * scope or a conditional block of its own; it is no header though it should be one; it gives a variable a default value
 * where HAProxy reads the line twice and fails.
 */
export type LineRefusalKind = WordErrorKind | StructureKind | "break" | "no-section" | "default-value";

/** A line that must not be written, and where it goes wrong. */
export interface LineRefusal {
  readonly kind: LineRefusalKind;
  /** Offset in bytes from the start of the line. */
  readonly offset: number;
}

/** HAProxy reads a line twice when its words outgrow the 1,024 bytes it has set aside, and so the first line. */
const ONCE = 1000;

/**
 * Judges one line (without its line ending) that is to stand inside a section. Undefined when it may; what it means
 * to HAProxy is not looked at.
 */
export function checkLine(line: Buffer, structure: StructureReader): LineRefusal | undefined {
  const shape = structure.read(line, 0, line.length);
  return shape === undefined ? checkWords(line) : { kind: shape.kind, offset: 0 };
}

/** Judges one line that is to be the header of a section. */
export function checkHeader(line: Buffer, structure: StructureReader): LineRefusal | undefined {
  if (structure.read(line, 0, line.length)?.kind !== "section") return { kind: "no-section", offset: 0 };
  return checkWords(line);
}

function checkWords(line: Buffer): LineRefusal | undefined {
  // A carriage return ends the line for HAProxy: what follows it would be lost.
  for (const end of [10, 13]) {
    const offset = line.indexOf(end);
    if (offset >= 0) return { kind: "break", offset };
  }
  const { error } = lexWords(line, 0, line.length);
  return error ?? (line.length > ONCE ? checkDefaults(line) : undefined);
}

/** Refuses a line with `${NAME-default}`, as must be done for the first line of a file. */
export function checkDefaults(line: Buffer): LineRefusal | undefined {
  const { words } = lexWords(line, 0, line.length);
  const fragile = words.find(
    ({ reference, value }) =>
      reference && parseValue(value)?.some(({ kind, text }) => kind === "reference" && text.includes("-")),
  );
  return fragile === undefined ? undefined : { kind: "default-value", offset: fragile.start };
}
