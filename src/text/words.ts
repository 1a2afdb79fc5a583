import { isUtf8 } from "node:buffer";
import { escapeDollars } from "./value.ts";

/** HAProxy refuses a line of more words than this, the keyword included. */
export const MAX_WORDS = 64;

/**
 * Why HAProxy refuses to split a line: a quote or brace without its end, a variable name that cannot be one,
 * `\x` without two hexadecimal digits, a malformed `[*]`, more than {@link MAX_WORDS} words, a NUL byte.
 */
export type WordErrorKind = "quote" | "brace" | "variable" | "hex" | "expansion" | "words" | "nul";

/** A line that HAProxy cannot split, and where. The words before the error are still given. */
export interface WordError {
  readonly kind: WordErrorKind;
  /** Offset from the start of the line, in bytes. */
  readonly offset: number;
}

const REFERENCE = 1;
const EXPANDS = 2;
const NOT_UTF8 = 4;

/** One word of a line: what HAProxy's parsers receive, and where it stands. */
export class Word {
  /**
   * The value, quotes and escapes resolved. References to the environment are kept as `${NAME}`, `${NAME-default}`
   * or `${NAME[*]}`; see `value.ts` for how a literal `${` is told apart.
   */
  readonly value: string;
  /** Offset of the first byte from the start of the line. */
  readonly start: number;
  /** Offset behind the last byte. */
  readonly end: number;
  readonly #flags: number;

  constructor(value: string, start: number, end: number, flags: number) {
    this.value = value;
    this.start = start;
    this.end = end;
    this.#flags = flags;
  }

  /** Refers to the environment, so the value is only known to the HAProxy that reads it. */
  get reference(): boolean {
    return (this.#flags & REFERENCE) !== 0;
  }

  /** Holds `${NAME[*]}`, which may become any number of words. */
  get expands(): boolean {
    return (this.#flags & EXPANDS) !== 0;
  }

  /** False for bytes that are not UTF-8: the value then shows replacement characters and must not be written back. */
  get utf8(): boolean {
    return (this.#flags & NOT_UTF8) === 0;
  }
}

/** A line split as HAProxy splits it. */
export interface LineWords {
  readonly words: readonly Word[];
  /** Offset of the `#` that starts the comment, or -1. */
  readonly comment: number;
  readonly error: WordError | undefined;
}

const PLAIN = 0;
const BLANK = 1;
const SPECIAL = 2;
/** Ordinary to HAProxy, but the value needs a second look: `$`, and bytes beyond ASCII. */
const MARKED = 3;

const NUL = 0;
const LF = 10;
const CR = 13;
const SPACE = 32;
const DOUBLE_QUOTE = 34;
const HASH = 35;
const DOLLAR = 36;
const SINGLE_QUOTE = 39;
const COMMA = 44;
const BACKSLASH = 92;
const TILDE = 126;

/** Class of each byte. Blanks are those of C's isspace(). */
const CLASSES = (() => {
  const classes = new Uint8Array(256).fill(MARKED, 128);
  for (const blank of [9, 10, 11, 12, 13, 32]) classes[blank] = BLANK;
  for (const special of [NUL, DOUBLE_QUOTE, HASH, SINGLE_QUOTE, BACKSLASH]) classes[special] = SPECIAL;
  classes[DOLLAR] = MARKED;
  return classes;
})();

const NO_WORDS: readonly Word[] = [];
const BLANK_LINE: LineWords = { words: NO_WORDS, comment: -1, error: undefined };

/** True for the bytes that HAProxy takes as blanks. */
export function isBlank(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13);
}

/**
 * Splits the line that lies in `bytes` from `start` to `end` (its LF may be included) into words, by the rules
 * of HAProxy's `parse_line()` (configuration manual, sections 2.2 and 2.3). Offsets in the result are relative
 * to `start`. Never throws: a line that HAProxy would refuse comes back with an error. With a smaller `limit`
 * only that many words are read, and nothing is said about the rest of the line.
 */
export function lexWords(bytes: Buffer, start: number, end: number, limit = MAX_WORDS): LineWords {
  const classes = CLASSES;
  let stop = end;
  if (stop > start && bytes[stop - 1] === LF) stop--;
  let at = start;
  while (at < stop && classes[bytes[at]!] === BLANK) at++;
  if (at === stop) return BLANK_LINE;

  const words: Word[] = [];
  const text = bytes.toString("latin1", start, stop);
  for (;;) {
    const from = at;
    let marked = false;
    let kind: number = PLAIN;
    while (at < stop) {
      const byte = bytes[at]!;
      // Most bytes are letters, digits and the like; that is seen without the table.
      if (byte <= COMMA || byte === BACKSLASH || byte > TILDE) {
        kind = classes[byte]!;
        if (kind !== PLAIN) {
          if (kind !== MARKED) break;
          marked = true;
        }
      }
      at++;
    }
    if (at < stop && kind === SPECIAL) {
      const byte = bytes[at]!;
      if (byte !== HASH && byte !== NUL) {
        const quoted = new QuotedWord(bytes, start, stop, from);
        at = quoted.end;
        if (quoted.word !== undefined) words.push(quoted.word);
        if (quoted.error !== undefined) return finish(bytes, start, stop, words, -1, quoted.error);
      } else if (at > from) {
        words.push(plainWord(bytes, text, start, from, at, marked));
      }
    } else if (at > from) {
      words.push(plainWord(bytes, text, start, from, at, marked));
    }
    if (at >= stop) break;
    const byte = bytes[at]!;
    if (byte === HASH) return finish(bytes, start, stop, words, at - start, undefined);
    if (byte === NUL || byte === CR) return finish(bytes, start, stop, words, -1, undefined);
    at++;
    while (at < stop && (bytes[at] === SPACE || classes[bytes[at]!] === BLANK)) at++;
    // A blank always opens another word for HAProxy, so a trailing one counts as well.
    if (words.length >= limit) {
      if (limit < MAX_WORDS) return { words, comment: -1, error: undefined };
      return finish(bytes, start, stop, words, -1, tooMany(at - start));
    }
    if (at === stop) break;
  }
  return { words, comment: -1, error: undefined };
}

function plainWord(
  bytes: Buffer,
  text: string,
  base: number,
  from: number,
  to: number,
  marked: boolean,
): Word {
  if (!marked) return new Word(text.slice(from - base, to - base), from - base, to - base, 0);
  const decoded = decode(bytes.subarray(from, to));
  return new Word(escapeDollars(decoded.text, false), from - base, to - base, decoded.utf8 ? 0 : NOT_UTF8);
}

function decode(bytes: Uint8Array): { text: string; utf8: boolean } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { text: buffer.toString("utf8", 0, buffer.length), utf8: isUtf8(buffer) };
}

function tooMany(offset: number): WordError {
  return { kind: "words", offset };
}

/** HAProxy looks for a NUL before anything else, in comments too. */
function finish(
  bytes: Buffer,
  start: number,
  stop: number,
  words: readonly Word[],
  comment: number,
  error: WordError | undefined,
): LineWords {
  const nul = bytes.subarray(start, stop).indexOf(NUL);
  return { words, comment, error: nul >= 0 ? { kind: "nul", offset: nul } : error };
}

/** A word that holds quotes, escapes or references, read byte by byte. */
class QuotedWord {
  /** Offset in the buffer behind the word, or where reading stopped. */
  end: number;
  word: Word | undefined;
  error: WordError | undefined;
  readonly #bytes: Buffer;
  readonly #base: number;
  readonly #stop: number;
  #literal: number[] = [];
  #value = "";
  #flags = 0;
  #cut = false;

  constructor(bytes: Buffer, base: number, stop: number, from: number) {
    this.#bytes = bytes;
    this.#base = base;
    this.#stop = stop;
    this.end = from;
    this.error = this.#read();
    if (this.error === undefined) {
      this.#flush(false);
      this.word = new Word(this.#value, from - base, this.end - base, this.#flags);
    }
  }

  #read(): WordError | undefined {
    const bytes = this.#bytes;
    let quote = NUL;
    let opened = 0;
    let at = this.end;
    while (at < this.#stop) {
      const byte = bytes[at]!;
      if (byte === NUL || byte === CR) break;
      if (quote === NUL && (byte === HASH || isBlank(byte))) break;
      if (byte === quote) {
        quote = NUL;
        at++;
      } else if (quote === NUL && (byte === DOUBLE_QUOTE || byte === SINGLE_QUOTE)) {
        quote = byte;
        opened = at++;
      } else if (byte === BACKSLASH && quote !== SINGLE_QUOTE) {
        const length = this.#escape(at, quote === DOUBLE_QUOTE);
        if (length === 0) return { kind: "hex", offset: at - this.#base };
        at += length;
      } else if (byte === DOLLAR && quote === DOUBLE_QUOTE) {
        const next = this.#variable(at);
        if (typeof next !== "number") return next;
        at = next;
      } else {
        this.#literal.push(byte);
        at++;
      }
    }
    this.end = at;
    return quote === NUL ? undefined : { kind: "quote", offset: opened - this.#base };
  }

  /** Takes the escape at the backslash `at`; the number of bytes it has, 0 for a malformed `\x`. */
  #escape(at: number, weak: boolean): number {
    const next = at + 1 < this.#stop ? this.#bytes[at + 1]! : NUL;
    switch (next) {
      case 32:
      case BACKSLASH:
      case HASH:
      case SINGLE_QUOTE:
      case DOUBLE_QUOTE:
        this.#literal.push(next);
        return 2;
      case 116:
        this.#literal.push(9);
        return 2;
      case 110:
        this.#literal.push(LF);
        return 2;
      case 114:
        this.#literal.push(CR);
        return 2;
      case 120: {
        const high = at + 2 < this.#stop ? hexDigit(this.#bytes[at + 2]!) : -1;
        const low = at + 3 < this.#stop ? hexDigit(this.#bytes[at + 3]!) : -1;
        if (high < 0 || low < 0) return 0;
        this.#literal.push(high * 16 + low);
        return 4;
      }
      case DOLLAR:
        if (weak) {
          this.#literal.push(DOLLAR);
          return 2;
        }
        break;
    }
    this.#literal.push(BACKSLASH);
    return 1;
  }

  /** Takes the reference at the dollar `at`; the offset behind it, or why it is none. */
  #variable(at: number): number | WordError {
    const bytes = this.#bytes;
    const stop = this.#stop;
    const brace = bytes[at + 1] === 123 && at + 1 < stop;
    const nameStart = at + (brace ? 2 : 1);
    let next = nameStart;
    if (next >= stop || !startsName(bytes[next]!)) return { kind: "variable", offset: next - this.#base };
    next++;
    while (next < stop && continuesName(bytes[next]!)) next++;
    const name = bytes.toString("latin1", nameStart, next);
    if (name[0] === "." && !PSEUDO_VARIABLES.has(name))
      return { kind: "variable", offset: nameStart - this.#base };
    if (!brace) {
      this.#refer(`\${${name}}`, true, false);
      return next;
    }
    let expands = false;
    if (next < stop && bytes[next] === 91) {
      if (bytes[next + 1] !== 42 || bytes[next + 2] !== 93 || next + 2 >= stop)
        return { kind: "expansion", offset: next - this.#base };
      expands = true;
      next += 3;
    }
    if (next < stop && bytes[next] === 45)
      while (next < stop && bytes[next] !== 125 && bytes[next] !== NUL) next++;
    if (next >= stop || bytes[next] !== 125) return { kind: "brace", offset: at + 1 - this.#base };
    next++;
    const reference = decode(bytes.subarray(at, next));
    this.#refer(reference.text, reference.utf8, expands);
    return next;
  }

  #refer(text: string, utf8: boolean, expands: boolean): void {
    this.#flush(true);
    if (!this.#cut) this.#value += text;
    this.#flags |= REFERENCE | (utf8 ? 0 : NOT_UTF8) | (expands ? EXPANDS : 0);
  }

  /** Moves the literal bytes gathered so far into the value. HAProxy's parsers see a word only up to a NUL. */
  #flush(beforeReference: boolean): void {
    if (this.#literal.length === 0 || this.#cut) return;
    const nul = this.#literal.indexOf(NUL);
    if (nul >= 0) this.#cut = true;
    const decoded = decode(Uint8Array.from(nul >= 0 ? this.#literal.slice(0, nul) : this.#literal));
    this.#value += escapeDollars(decoded.text, beforeReference);
    if (!decoded.utf8) this.#flags |= NOT_UTF8;
    this.#literal = [];
  }
}

const PSEUDO_VARIABLES = new Set([".FILE", ".LINE", ".SECTION"]);

function startsName(byte: number): boolean {
  return (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122) || byte === 95 || byte === 46;
}

function continuesName(byte: number): boolean {
  return (
    (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122) || byte === 95
  );
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const upper = byte & ~32;
  return upper >= 65 && upper <= 70 ? upper - 55 : -1;
}
