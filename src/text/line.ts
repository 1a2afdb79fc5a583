import { isBlank } from "./bytes.ts";
import type { Source } from "./source.ts";
import type { Word, WordError } from "./word.ts";
import { type LineWords, lexWords } from "./words.ts";

/** One line of a file: its bytes as they are, and its words when asked. A short-lived view; it copies nothing. */
export class Line {
  readonly #source: Source;
  readonly #index: number;
  #lexed: LineWords | undefined;

  /** The line `index` of `source`. */
  constructor(source: Source, index: number) {
    this.#source = source;
    this.#index = index;
  }

  /** The bytes, line feed included where there is one. */
  get bytes(): Buffer {
    return this.#source.bytes.subarray(this.#start, this.#end);
  }

  /** The line without its line ending. Bytes that are not UTF-8 show as replacement characters. */
  get text(): string {
    return this.#source.bytes.toString("utf8", this.#start, this.#end - this.newline.length);
  }

  /** The words before the comment, or before the error that keeps HAProxy from reading the line. */
  get words(): readonly Word[] {
    return this.#lex().words;
  }

  /** The first words alone, when no more are needed. */
  firstWords(limit: number): readonly Word[] {
    return lexWords(this.#source.bytes, this.#start, this.#end, limit).words;
  }

  /** Offset of the `#` of the comment at the end of the line, or -1. */
  get comment(): number {
    return this.#lex().comment;
  }

  /** Why HAProxy cannot read the line. */
  get error(): WordError | undefined {
    return this.#lex().error;
  }

  /** The line ending: empty for a last line without one. */
  get newline(): "\n" | "\r\n" | "" {
    const { bytes } = this.#source;
    const end = this.#end;
    if (end === this.#start || bytes[end - 1] !== 10) return "";
    return end - 1 > this.#start && bytes[end - 2] === 13 ? "\r\n" : "\n";
  }

  /** The blanks before the first word or comment. */
  get indentation(): string {
    const { bytes } = this.#source;
    const end = this.#end - this.newline.length;
    let at = this.#start;
    while (at < end && isBlank(bytes[at]!)) at++;
    return bytes.toString("latin1", this.#start, at);
  }

  /** True when there is nothing but blanks and perhaps a comment. */
  get empty(): boolean {
    return this.words.length === 0 && this.error === undefined;
  }

  /** The name between the brackets of a `[scope]` line; empty for others. */
  get scope(): string {
    return /^[\t-\r ]*\[([^\]]*)\]/.exec(this.text)?.[1] ?? "";
  }

  /** The bytes of a word as they stand in the file, quotes and all. */
  raw(word: Word): Buffer {
    return this.#source.bytes.subarray(this.#start + word.start, this.#start + word.end);
  }

  get #start(): number {
    return this.#source.starts[this.#index]!;
  }

  get #end(): number {
    return this.#source.starts[this.#index + 1]!;
  }

  #lex(): LineWords {
    this.#lexed ??= lexWords(this.#source.bytes, this.#start, this.#end);
    return this.#lexed;
  }
}
