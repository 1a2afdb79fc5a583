import type { Grammar } from "../grammar/grammar.ts";
import { Document } from "../text/document.ts";
import { inspectLines } from "./read-document.ts";

/** A line that no message stands for. */
export interface UnmodelledLine {
  /** Counted from 1. */
  readonly line: number;
  /** Its words, quotes resolved; what may be a secret is hidden. */
  readonly words: readonly string[];
  readonly why: string;
}

/** What haplane understands of a configuration file. */
export interface FileReport {
  readonly file: string;
  readonly bytes: number;
  readonly sections: number;
  /** Lines that say something: not blank, not a comment, not a proper header, not part of a conditional block. */
  readonly directives: number;
  /** Directives that have a message of their own, those with a few unknown words included. */
  readonly typed: number;
  /** Typed directives that hold words which no field knows. */
  readonly partial: number;
  /** Typed directives that HAProxy ignores where they stand. */
  readonly ignored: number;
  /** The other directives. */
  readonly unmodelled: readonly UnmodelledLine[];
  /** The words of all directives. */
  readonly words: number;
  /** Of these, those in conditions, sample expressions and the like, which are text on purpose. */
  readonly textWords: number;
  /** Of the words that are no text on purpose, the share that sits in a field or keyword of its own, from 0 to 1. */
  readonly depth: number;
  /** The file is printed back byte for byte. */
  readonly lossless: boolean;
  /** The last line has no line feed, which HAProxy refuses. */
  readonly unended: boolean;
}

/** Says what the grammar understands of a file. Never fails, whatever the bytes are. */
export function inspectFile(grammar: Grammar, file: string, bytes: Buffer): FileReport {
  const document = Document.parse([{ path: file, bytes }]);
  const unmodelled: UnmodelledLine[] = [];
  let typed = 0;
  let partial = 0;
  let ignored = 0;
  let words = 0;
  let textWords = 0;
  let unknownWords = 0;
  for (const line of inspectLines(grammar, document)) {
    if (line.kind === "typed") {
      typed++;
      if (line.count.unmodelled > 0) partial++;
      if (line.ignored) ignored++;
      words += line.count.words;
      textWords += line.count.text;
      unknownWords += line.count.unmodelled;
    } else if (line.kind === "text") {
      unmodelled.push({ line: line.number, words: line.words, why: line.why });
      words += line.line.words.length;
      unknownWords += line.line.words.length;
    }
  }
  let sections = 0;
  for (const { keyword } of document.sections()) if (keyword !== "") sections++;
  return {
    file,
    bytes: bytes.length,
    sections,
    directives: typed + unmodelled.length,
    typed,
    partial,
    ignored,
    unmodelled,
    words,
    textWords,
    depth: words === textWords ? 1 : (words - textWords - unknownWords) / (words - textWords),
    lossless: document.print(0).equals(bytes),
    unended: bytes.length > 0 && bytes.at(-1) !== 10,
  };
}
