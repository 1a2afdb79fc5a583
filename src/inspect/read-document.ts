import type { Grammar } from "../grammar/grammar.ts";
import { HIDDEN } from "../grammar/read-section.ts";
import type { SectionCodec } from "../grammar/section-codec.ts";
import type { Document } from "../text/document.ts";
import type { Line } from "../text/line.ts";
import type { Section } from "../text/section.ts";
import { printHeader } from "./header.ts";
import { describeWordError, type Understood, understand } from "./understand.ts";

/** A line of a file, and what is made of it. */
export type InspectedLine = { readonly line: Line; readonly number: number } & (
  | Understood
  /** A section's header that says nothing but name and `from`. */
  | { readonly kind: "header"; readonly printed: string }
  /** Nothing for the grammar: blank, comment, conditional block, scope, message. */
  | { readonly kind: "other" }
);

/** HAProxy's directives that begin with a dot and print a message. */
const MESSAGES = [".notice", ".warning", ".alert", ".diag"];

/** Reads all lines of the document's first file in order. */
export function* inspectLines(
  grammar: Grammar,
  document: Document,
): Generator<InspectedLine, void, undefined> {
  const misplaced = new Map(document.armsIn(0).errors.map(({ line, kind }) => [line, kind]));
  let number = 0;
  for (const section of document.sections(0)) {
    const marks = new Set(section.marks.map(({ index }) => index));
    const codec = grammar.section(section.keyword);
    let index = 0;
    for (const line of section.lines) {
      number++;
      const place = { line, number };
      const misplacement = misplaced.get(number);
      if (misplacement !== undefined) yield { ...place, ...text(line, MISPLACED[misplacement]) };
      else if (marks.has(index)) yield { ...place, ...readMark(line) };
      else if (index === 0 && section.keyword !== "") yield { ...place, ...readHeader(codec, section, line) };
      else if (line.empty) yield { ...place, kind: "other" };
      else if (section.keyword === "")
        yield {
          ...place,
          ...hidden(
            line,
            line.error === undefined ? "no section begins above it" : describeWordError(line.error),
          ),
        };
      else if (codec === undefined) yield { ...place, ...hidden(line, "the section is not known") };
      else yield { ...place, ...understand(codec, section.keyword, line) };
      index++;
    }
  }
}

const MISPLACED = {
  elif: "there is no .if above it, or an .else",
  else: "there is no .if above it, or an .else",
  endif: "there is no .if above it",
  unterminated: "no .endif ends the block",
} as const;

function readMark(line: Line): Understood | { readonly kind: "other" } {
  if (line.error !== undefined) return text(line, describeWordError(line.error));
  const [word] = line.words;
  const unknown =
    word?.value.startsWith(".") &&
    !MESSAGES.includes(word.value) &&
    !/^\.(if|elif|else|endif)$/.test(word.value);
  return unknown ? text(line, "HAProxy has no such directive") : { kind: "other" };
}

function readHeader(
  codec: SectionCodec | undefined,
  section: Section,
  line: Line,
): Understood | { readonly kind: "header"; readonly printed: string } {
  if (line.error !== undefined) return text(line, describeWordError(line.error));
  const printed = codec === undefined ? undefined : printHeader(codec, section);
  return printed === undefined
    ? text(line, "the header says more than the section's name and the defaults it is based on")
    : { kind: "header", printed };
}

/** A line that no grammar tells the secrets of: only its first word is shown. */
function hidden(line: Line, why: string): Understood {
  const [first, ...others] = line.words;
  const words = first === undefined ? [] : [first.value, ...(others.length === 0 ? [] : [HIDDEN])];
  return { kind: "text", words, why };
}

function text(line: Line, why: string): Understood {
  return { kind: "text", words: line.words.map((word) => word.value), why };
}
