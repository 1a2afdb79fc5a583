import { type Chunk, chunksOf, cut, joined, keysOf, stretchOf } from "./chunk.ts";
import { keyOf } from "./hints.ts";
import type { Line } from "./line.ts";
import { Sequence } from "./sequence.ts";
import { type Source, splitLines } from "./source.ts";

/** A chunk with fewer lines than this after an edit is joined with its neighbour. */
const FEW_LINES = 8;

/** An immutable list of lines; an edit shares all chunks but those it touches. */
export class Lines implements Iterable<Line> {
  /** The number of lines. */
  readonly length: number;
  readonly #chunks: Sequence<Chunk>;

  private constructor(chunks: Sequence<Chunk>) {
    this.#chunks = chunks;
    this.length = chunks.length;
  }

  /** The lines `from` to `to` of a source. */
  static of(source: Source, from: number, to: number): Lines {
    return new Lines(Sequence.of(cut(stretchOf(source, from, to))));
  }

  /** The chunks in order. */
  get chunks(): Iterable<Chunk> {
    return this.#chunks;
  }

  /** The line at an index; undefined outside the list. */
  at(index: number): Line | undefined {
    if (index < 0 || index >= this.length) return undefined;
    const { position, start } = this.#chunks.slotAt(index);
    return this.#chunks.at(position).at(index - start);
  }

  *[Symbol.iterator](): Iterator<Line> {
    for (const chunk of this.#chunks) for (let i = 0; i < chunk.length; i++) yield chunk.at(i);
  }

  /** The lines copied into a source of their own. */
  toSource(): Source {
    return splitLines(Buffer.concat(Array.from(this, (line) => line.bytes)));
  }

  /** Indexes of the lines that start with these two words (with `undefined`: that have the first alone), in order. */
  find(first: string, second: string | undefined): number[] {
    const key = keyOf(first, second);
    const found: number[] = [];
    for (const position of this.#chunks.holding(key)) {
      const chunk = this.#chunks.at(position);
      const { keys } = chunk;
      for (let index = keys.indexOf(key); index >= 0; index = keys.indexOf(key, index + 1)) {
        const words = chunk.at(index).firstWords(2);
        if (words[0]?.value === first && words[1]?.value === second)
          found.push(this.#chunks.startOf(position) + index);
      }
    }
    return found;
  }

  /** The same list with `deleteCount` lines at `start` replaced by the lines of `inserted`. */
  splice(start: number, deleteCount: number, inserted: Source): Lines {
    if (start < 0 || deleteCount < 0 || start + deleteCount > this.length)
      throw new RangeError("no such lines");
    const chunks = this.#chunks;
    const middle = stretchOf(inserted);
    if (chunks.size === 0) return new Lines(Sequence.of(cut(middle)));
    const first = chunks.slotAt(Math.min(start, this.length - 1));
    const last = deleteCount <= 1 ? first : chunks.slotAt(start + deleteCount - 1);
    const lastChunk = chunks.at(last.position);
    const fresh = keysOf(middle.runs);
    const stretches = [
      chunks.at(first.position).slice(0, start - first.start),
      { runs: middle.runs, keys: fresh },
      lastChunk.slice(start + deleteCount - last.start, lastChunk.length),
    ];
    let from = first.position;
    let to = last.position + 1;
    const rest = last.start + lastChunk.length - first.start - deleteCount + fresh.length;
    if (rest < FEW_LINES) {
      // Keeps many deletions from leaving a trail of tiny chunks.
      if (to < chunks.size) stretches.push(chunks.at(to++));
      else if (from > 0) stretches.unshift(chunks.at(--from));
    }
    const built = chunksOf(joined(stretches), chunks.at(from).id);
    return new Lines(chunks.splice(from, to - from, built, fresh));
  }
}
