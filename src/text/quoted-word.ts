import {
  BACKSLASH,
  CR,
  DOLLAR,
  DOUBLE_QUOTE,
  decode,
  HASH,
  isBlank,
  LF,
  NUL,
  SINGLE_QUOTE,
} from "./bytes.ts";
import { escapeDollars } from "./value.ts";
import { WORD_FLAGS, Word, type WordError } from "./word.ts";

/** A word that holds quotes, escapes or references, read byte by byte. */
export class QuotedWord {
  /** Offset in the buffer behind the word, or where reading stopped. */
  end: number;
  /** The word; undefined when HAProxy cannot read it. */
  readonly word: Word | undefined;
  readonly error: WordError | undefined;
  readonly #bytes: Buffer;
  readonly #base: number;
  readonly #stop: number;
  #literal: number[] = [];
  #value = "";
  #flags = 0;
  #cut = false;

  /** Reads the word at `from` of the line that lies from `base` to `stop`. */
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
    this.#flags |=
      WORD_FLAGS.reference | (utf8 ? 0 : WORD_FLAGS.notUtf8) | (expands ? WORD_FLAGS.expands : 0);
  }

  /** Moves the literal bytes gathered so far into the value. HAProxy's parsers see a word only up to a NUL. */
  #flush(beforeReference: boolean): void {
    if (this.#literal.length === 0 || this.#cut) return;
    const nul = this.#literal.indexOf(NUL);
    if (nul >= 0) this.#cut = true;
    const decoded = decode(Uint8Array.from(nul >= 0 ? this.#literal.slice(0, nul) : this.#literal));
    this.#value += escapeDollars(decoded.text, beforeReference);
    if (!decoded.utf8) this.#flags |= WORD_FLAGS.notUtf8;
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
