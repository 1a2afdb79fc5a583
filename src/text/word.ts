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

/** What is special about a word: any of these together, or nothing. */
export const WORD_FLAGS = { reference: 1, expands: 2, notUtf8: 4 } as const;

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

  /** `flags` are of {@link WORD_FLAGS}. */
  constructor(value: string, start: number, end: number, flags: number) {
    this.value = value;
    this.start = start;
    this.end = end;
    this.#flags = flags;
  }

  /** Refers to the environment, so the value is only known to the HAProxy that reads it. */
  get reference(): boolean {
    return (this.#flags & WORD_FLAGS.reference) !== 0;
  }

  /** Holds `${NAME[*]}`, which may become any number of words. */
  get expands(): boolean {
    return (this.#flags & WORD_FLAGS.expands) !== 0;
  }

  /** False for bytes that are not UTF-8: the value then shows replacement characters and must not be written back. */
  get utf8(): boolean {
    return (this.#flags & WORD_FLAGS.notUtf8) === 0;
  }
}
