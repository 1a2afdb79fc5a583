import { parseValue, type ValuePart } from "./value.ts";
import { MAX_WORDS } from "./word.ts";

/**
 * Why a value cannot be written as a word: it holds a control character, or NUL (which HAProxy cannot be told), or
 * half a surrogate pair; its `${` starts no reference; it is empty though words follow (HAProxy drops those);
 * there are more than {@link MAX_WORDS} words.
 */
export type QuoteRefusalKind = "control" | "nul" | "surrogate" | "reference" | "empty" | "words";

/** A value that cannot be written, and where. */
export interface QuoteRefusal {
  readonly kind: QuoteRefusalKind;
  /** Index of the word among those to be written. */
  readonly word: number;
}

/** A word or line ready to stand in a file, or why it cannot. */
export type Quoted =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly refusal: QuoteRefusal };

/** How freely a value may be written. */
export interface QuoteOptions {
  /**
   * What to do with control characters other than NUL: refuse them (the default), or write them as `\n`, `\xHH` …
   * as payloads such as `tcp-check send` need. They never reach the file raw.
   */
  readonly control?: "refuse" | "escape";
}

/**
 * Writes a value (see `value.ts`) as one word, with as little quoting as HAProxy's manual would use: none, else
 * double quotes, else single quotes where there are backslashes, dollars or double quotes to protect. Reading the
 * word gives the same value again.
 */
export function quoteWord(value: string, options: QuoteOptions = {}): Quoted {
  const result = encode(value, options.control === "escape");
  return typeof result === "string"
    ? { ok: true, text: result }
    : { ok: false, refusal: { kind: result.refused, word: 0 } };
}

/** Writes values as the words of one line, separated by single spaces. Only the last may be empty. */
export function quoteWords(values: readonly string[], options: QuoteOptions = {}): Quoted {
  const escaped = options.control === "escape";
  if (values.length > MAX_WORDS) return { ok: false, refusal: { kind: "words", word: MAX_WORDS } };
  let line = "";
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    if (value === "" && index < values.length - 1)
      return { ok: false, refusal: { kind: "empty", word: index } };
    const result = encode(value, escaped);
    if (typeof result !== "string") return { ok: false, refusal: { kind: result.refused, word: index } };
    const word = index === 0 ? guardScope(result) : result;
    line = index === 0 ? word : `${line} ${word}`;
  }
  return { ok: true, text: line };
}

/** The first word of a line: a bracket in front would make a scope line of it, unless the bracket is quoted. */
export function guardScope(word: string): string {
  return word.startsWith("[") ? `"["${word.slice(1)}` : word;
}

/** Nothing that HAProxy, or the value notation, would take for more than itself. */
const SIMPLE = /^[!%&(-[\]-~]+$/;
const CONTROL = /[\0-\x1f\x7f]/;
/** What ends a word or is lost outside quotes; a backslash only before a byte that it would change. */
const NEEDS_QUOTES = /[ "'#]|\\(?:[\\ tnr#'"x]|$)/;

function encode(value: string, escaped: boolean): string | { refused: QuoteRefusalKind } {
  if (SIMPLE.test(value)) return value;
  if (value === "") return '""';
  if (!value.isWellFormed()) return { refused: "surrogate" };
  const control = CONTROL.test(value);
  if (control) {
    if (value.includes("\0")) return { refused: "nul" };
    if (!escaped) return { refused: "control" };
  }
  const parts = parseValue(value);
  if (parts === undefined) return { refused: "reference" };
  const only = parts.length === 1 && parts[0]!.kind === "literal" ? parts[0]!.text : undefined;
  if (only === undefined) return `"${parts.map(weak).join("")}"`;
  if (control)
    return /[ "'#]/.test(only) ? `"${weak(parts[0]!)}"` : only.replace(/[\0-\x1f\x7f\\]/g, escapeCharacter);
  if (!NEEDS_QUOTES.test(only)) return only;
  if (!/["\\$]/.test(only)) return `"${only}"`;
  return only.includes("'") ? `"${weak(parts[0]!)}"` : `'${only}'`;
}

function weak(part: ValuePart): string {
  if (part.kind === "reference") return part.text;
  return part.text.replace(/[\0-\x1f\x7f"\\$]/g, escapeCharacter);
}

function escapeCharacter(character: string): string {
  switch (character) {
    case "\n":
      return "\\n";
    case "\r":
      return "\\r";
    case "\t":
      return "\\t";
    case '"':
    case "\\":
    case "$":
      return `\\${character}`;
    default:
      return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  }
}
