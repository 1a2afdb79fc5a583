import { DomainError } from "../lib/errors.ts";
import { checkHeader, checkLine, type LineRefusal } from "./check-line.ts";
import type { Line } from "./line.ts";
import type { Source } from "./source.ts";
import type { StructureReader } from "./structure.ts";

/** A line to be written, without line ending. */
export type LineText = string | Buffer;

/** Lines as a source, each with the line ending. */
export function sourceOf(lines: readonly Buffer[], newline: string): Source {
  let size = 0;
  for (const line of lines) size += line.length + newline.length;
  const bytes = Buffer.allocUnsafe(size);
  const starts = new Uint32Array(lines.length + 1);
  let at = 0;
  for (let i = 0; i < lines.length; i++) {
    at += lines[i]!.copy(bytes, at);
    at += bytes.write(newline, at, "latin1");
    starts[i + 1] = at;
  }
  return { bytes, starts };
}

/** A line as it is to stand in a section. Throws FIELD_INVALID when it must not, see {@link checkLine}. */
export function bodyLine(line: LineText, structure: StructureReader, indentation = ""): Buffer {
  const text = typeof line === "string" ? Buffer.from(indentation + line) : indented(line, indentation);
  const refusal = checkLine(text, structure);
  if (refusal !== undefined) refuse(refusal);
  return text;
}

/** A header line as it is to stand. Throws FIELD_INVALID when it is none, or HAProxy could not read it. */
export function headerLine(line: LineText, structure: StructureReader): Buffer {
  const text = typeof line === "string" ? Buffer.from(line) : line;
  const refusal = checkHeader(text, structure);
  if (refusal !== undefined) refuse(refusal, "the line cannot be the header of a section");
  return text;
}

/** Says that a line cannot be written. */
export function refuse(refusal: LineRefusal, why = "the line cannot stand in a section"): never {
  throw new DomainError("FIELD_INVALID", `${why} (${refusal.kind})`, {
    metadata: { kind: refusal.kind, offset: String(refusal.offset) },
  });
}

/** True for a line of nothing but blanks. */
export function isBlankLine(line: Line): boolean {
  return line.empty && line.comment < 0;
}

function indented(line: Buffer, indentation: string): Buffer {
  return indentation === "" ? line : Buffer.concat([Buffer.from(indentation), line]);
}
