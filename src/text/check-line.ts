import type { StructureKind, StructureReader } from "./structure.ts";
import { parseValue } from "./value.ts";
import { lexWords, type WordErrorKind } from "./words.ts";

/**
 * Why a line must not be put into a section: HAProxy could not read it, it holds a line break, or it would start
 * a section, a scope or a conditional block of its own.
 */
export type LineRefusalKind = WordErrorKind | "break" | "default-value" | StructureKind;

/** A line that must not be written, and where it goes wrong. */
export interface LineRefusal {
  readonly kind: LineRefusalKind;
  /** Offset in bytes from the start of the line. */
  readonly offset: number;
}

/** HAProxy reads a longer line twice and fails at `${NAME-default}` the second time; so it does for line 1. */
const ONCE = 1000;

/**
 * Judges one line (without its line ending) that is to stand inside a section. Undefined when it may; what it means
 * to HAProxy is not looked at.
 */
export function checkLine(line: Buffer, structure: StructureReader): LineRefusal | undefined {
  const feed = line.indexOf(10);
  if (feed >= 0) return { kind: "break", offset: feed };
  const shape = structure.read(line, 0, line.length);
  if (shape !== undefined) return { kind: shape.kind, offset: 0 };
  return checkWords(line);
}

/** The part of {@link checkLine} that holds for header lines too. */
export function checkWords(line: Buffer): LineRefusal | undefined {
  const { error } = lexWords(line, 0, line.length);
  if (error !== undefined) return error;
  return line.length > ONCE ? checkDefaults(line) : undefined;
}

/** Refuses a line with `${NAME-default}`, as must be done where HAProxy reads the line twice. */
export function checkDefaults(line: Buffer): LineRefusal | undefined {
  const { words } = lexWords(line, 0, line.length);
  const fragile = words.find(
    ({ reference, value }) =>
      reference && parseValue(value)?.some(({ kind, text }) => kind === "reference" && text.includes("-")),
  );
  return fragile === undefined ? undefined : { kind: "default-value", offset: fragile.start };
}
