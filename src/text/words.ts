import * as BYTES from "./bytes.ts";
import { QuotedWord } from "./quoted-word.ts";
import { escapeDollars } from "./value.ts";
import { MAX_WORDS, WORD_FLAGS, Word, type WordError } from "./word.ts";

// Constants of this module: V8 reads an imported one anew at each use, which costs a fifth of the loop below.
const { BACKSLASH, CR, DOLLAR, DOUBLE_QUOTE, HASH, LF, MINUS, NUL, SINGLE_QUOTE, SPACE, TILDE } = BYTES;

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
    let stopped = NUL;
    for (; at < stop; at++) {
      const byte = bytes[at]!;
      // Most bytes lie from `-` to `~`: that is seen without the table.
      if ((byte - MINUS) >>> 0 <= TILDE - MINUS && byte !== BACKSLASH) continue;
      const kind = classes[byte]!;
      if (kind === MARKED) {
        marked = true;
      } else if (kind !== PLAIN) {
        stopped = byte;
        break;
      }
    }
    if (stopped === DOUBLE_QUOTE || stopped === SINGLE_QUOTE || stopped === BACKSLASH) {
      const quoted = new QuotedWord(bytes, start, stop, from);
      at = quoted.end;
      if (quoted.word !== undefined) words.push(quoted.word);
      if (quoted.error !== undefined) return finish(bytes, start, stop, words, -1, quoted.error);
    } else if (at > from) {
      const word = marked
        ? markedWord(bytes, start, from, at)
        : new Word(text.slice(from - start, at - start), from - start, at - start, 0);
      words.push(word);
    }
    if (at >= stop) break;
    const byte = bytes[at]!;
    if (byte === HASH) return finish(bytes, start, stop, words, at - start, undefined);
    if (byte === NUL || byte === CR) return finish(bytes, start, stop, words, -1, undefined);
    at++;
    while (at < stop && bytes[at]! <= SPACE && classes[bytes[at]!] === BLANK) at++;
    // A blank always opens another word for HAProxy, so a trailing one counts as well.
    if (words.length >= limit) {
      if (limit < MAX_WORDS) return { words, comment: -1, error: undefined };
      return finish(bytes, start, stop, words, -1, tooMany(at - start));
    }
    if (at === stop) break;
  }
  return { words, comment: -1, error: undefined };
}

function markedWord(bytes: Buffer, base: number, from: number, to: number): Word {
  const decoded = BYTES.decode(bytes.subarray(from, to));
  return new Word(
    escapeDollars(decoded.text, false),
    from - base,
    to - base,
    decoded.utf8 ? 0 : WORD_FLAGS.notUtf8,
  );
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
