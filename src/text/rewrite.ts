import type { Line } from "./line.ts";
import { guardScope, type Quoted, type QuoteOptions, type QuoteRefusal, quoteWord } from "./quote.ts";
import { MAX_WORDS, type Word } from "./word.ts";

/** A line with other words, or why they cannot be written. */
export type Rewritten =
  | { readonly ok: true; readonly line: Buffer }
  | { readonly ok: false; readonly refusal: QuoteRefusal };

/**
 * The line with other words, without its line ending. Words whose value stays keep their bytes and the spacing before
 * them; indentation and comment stay. The line must have no error.
 */
export function rewriteLine(line: Line, values: readonly string[], options: QuoteOptions = {}): Rewritten {
  if (values.length > MAX_WORDS) return { ok: false, refusal: { kind: "words", word: MAX_WORDS } };
  const { bytes, words } = line;
  const kept = align(words, values);
  const pieces: (Buffer | string)[] = [line.indentation];
  for (let index = 0; index < values.length; index++) {
    const { word, same } = kept[index]!;
    if (index > 0) pieces.push(word === undefined || word === 0 ? " " : gapBefore(bytes, words, word));
    if (same) {
      pieces.push(line.raw(words[word!]!));
      continue;
    }
    const written = write(values, index, options);
    if (!written.ok) return { ok: false, refusal: { ...written.refusal, word: index } };
    pieces.push(written.text);
  }
  if (words.length === 0 && values.length > 0 && line.comment >= 0) pieces.push(" ");
  const end = words.at(-1)?.end ?? line.indentation.length;
  pieces.push(bytes.subarray(end, bytes.length - line.newline.length));
  return {
    ok: true,
    line: Buffer.concat(pieces.map((piece) => (typeof piece === "string" ? Buffer.from(piece) : piece))),
  };
}

function write(values: readonly string[], index: number, options: QuoteOptions): Quoted {
  const value = values[index]!;
  if (value === "" && index < values.length - 1)
    return { ok: false, refusal: { kind: "empty", word: index } };
  const written = quoteWord(value, options);
  return written.ok && index === 0 ? { ok: true, text: guardScope(written.text) } : written;
}

function gapBefore(bytes: Buffer, words: readonly Word[], index: number): Buffer {
  return bytes.subarray(words[index - 1]!.end, words[index]!.start);
}

/** For each value the old word in whose place it stands, and whether that has the same value. */
interface Slot {
  readonly word: number | undefined;
  readonly same: boolean;
}

/** Matches values to old words so that as few as possible are written anew. */
function align(words: readonly Word[], values: readonly string[]): Slot[] {
  const slots: Slot[] = [];
  let head = 0;
  while (head < words.length && head < values.length && words[head]!.value === values[head]) {
    slots.push({ word: head, same: true });
    head++;
  }
  let wordEnd = words.length;
  let valueEnd = values.length;
  while (wordEnd > head && valueEnd > head && words[wordEnd - 1]!.value === values[valueEnd - 1]) {
    wordEnd--;
    valueEnd--;
  }
  slots.push(...alignMiddle(words, head, wordEnd, values, head, valueEnd));
  for (let index = valueEnd; index < values.length; index++)
    slots.push({ word: wordEnd + index - valueEnd, same: true });
  return slots;
}

/** The shortest edit script by dynamic programming; a line has few words. */
function alignMiddle(
  words: readonly Word[],
  wordStart: number,
  wordEnd: number,
  values: readonly string[],
  valueStart: number,
  valueEnd: number,
): Slot[] {
  const rows = valueEnd - valueStart;
  const columns = wordEnd - wordStart;
  const width = columns + 1;
  const costs = new Uint16Array((rows + 1) * width);
  const same = (row: number, column: number) => words[wordStart + column]!.value === values[valueStart + row];
  for (let row = rows; row >= 0; row--) {
    for (let column = columns; column >= 0; column--) {
      let cost = rows - row + columns - column;
      if (row < rows && column < columns) {
        const replace = costs[(row + 1) * width + column + 1]! + (same(row, column) ? 0 : 1);
        cost = Math.min(
          replace,
          costs[(row + 1) * width + column]! + 1,
          costs[row * width + column + 1]! + 1,
        );
      }
      costs[row * width + column] = cost;
    }
  }
  const slots: Slot[] = [];
  let column = 0;
  for (let row = 0; row < rows; ) {
    const cost = costs[row * width + column]!;
    const equal = column < columns && same(row, column);
    if (column < columns && cost === costs[(row + 1) * width + column + 1]! + (equal ? 0 : 1)) {
      slots.push({ word: wordStart + column, same: equal });
      row++;
      column++;
    } else if (column < columns && cost === costs[row * width + column + 1]! + 1) {
      column++;
    } else {
      slots.push({ word: undefined, same: false });
      row++;
    }
  }
  return slots;
}
