/** Contents are compared in stretches of this many bytes, so that what lies behind the first difference is not read. */
const COMPARED_BYTES = 65_536;

/** Pieces below this are written together with their neighbours. */
const SMALL_BYTES = 65_536;

/**
 * The bytes of a file, in pieces. Versions of a large file share those that are the same, so that a change of one line costs neither the memory of the whole nor its collection. Immutable: neither the pieces nor
 * what they are views of may change.
 */
export class Content {
  static readonly EMPTY = new Content([]);
  readonly pieces: readonly Buffer[];
  /** In bytes. */
  readonly length: number;
  #whole: Buffer | undefined;

  /** Of pieces one after another. */
  constructor(pieces: readonly Buffer[]) {
    this.pieces = pieces;
    this.length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  /** The content that is these bytes, without a copy. */
  static of(bytes: Uint8Array | Content): Content {
    if (bytes instanceof Content) return bytes;
    return new Content([Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)]);
  }

  /** In one piece: where there are several, a copy, which is kept. */
  get bytes(): Buffer {
    this.#whole ??= this.pieces.length === 1 ? this.pieces[0]! : Buffer.concat(this.pieces, this.length);
    return this.#whole;
  }

  equals(other: Content): boolean {
    return this.length === other.length && this.commonHead(other, this.length) === this.length;
  }

  /** Whether these bytes stand at an offset; false where they reach beyond the end. */
  hasAt(offset: number, bytes: Uint8Array): boolean {
    if (offset + bytes.length > this.length) return false;
    let at = 0;
    for (const stretch of this.#stretches(offset, offset + bytes.length)) {
      if (!stretch.equals(bytes.subarray(at, at + stretch.length))) return false;
      at += stretch.length;
    }
    return true;
  }

  /** A copy of a stretch. */
  slice(from: number, to: number): Buffer {
    return Buffer.concat([...this.#stretches(from, to)], to - from);
  }

  /** How many bytes from the beginning on, up to `limit`, are those of another content. */
  commonHead(other: Content, limit: number): number {
    return common(this.pieces.values(), other.pieces.values(), limit, fromHead);
  }

  /** The same from the end backwards. */
  commonTail(other: Content, limit: number): number {
    return common(this.pieces.toReversed().values(), other.pieces.toReversed().values(), limit, fromTail);
  }

  /** The pieces, small ones together: to be written one after another. */
  *blocks(): Generator<Buffer, void, undefined> {
    let small: Buffer[] = [];
    let size = 0;
    for (const piece of this.pieces) {
      if (size > 0 && size + piece.length > SMALL_BYTES) {
        yield Buffer.concat(small, size);
        [small, size] = [[], 0];
      }
      if (piece.length >= SMALL_BYTES) yield piece;
      else {
        small.push(piece);
        size += piece.length;
      }
    }
    if (size > 0) yield Buffer.concat(small, size);
  }

  *#stretches(from: number, to: number): Generator<Buffer, void, undefined> {
    let start = 0;
    for (const piece of this.pieces) {
      if (start >= to) return;
      const end = start + piece.length;
      if (end > from) yield piece.subarray(Math.max(0, from - start), Math.min(piece.length, to - start));
      start = end;
    }
  }
}

/** The end of two pieces from which they are compared: what lies that far from it, between two distances. */
type Stretch = (piece: Buffer, from: number, to: number) => Buffer;

const fromHead: Stretch = (piece, from, to) => piece.subarray(from, to);
const fromTail: Stretch = (piece, from, to) => piece.subarray(piece.length - to, piece.length - from);

/** Walks two lists of pieces in step, up to where they differ. */
function common(ours: Iterator<Buffer>, theirs: Iterator<Buffer>, limit: number, stretch: Stretch): number {
  let length = 0;
  let [a, b]: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)];
  while (length < limit) {
    a = filled(a, ours);
    b = filled(b, theirs);
    const size = Math.min(a.length, b.length, limit - length);
    if (size === 0) break;
    const same = isSameMemory(stretch(a, 0, size), stretch(b, 0, size))
      ? size
      : commonLength(size, (from, to) => stretch(a, from, to).equals(stretch(b, from, to)));
    length += same;
    if (same < size) break;
    [a, b] = [stretch(a, size, a.length), stretch(b, size, b.length)];
  }
  return length;
}

function filled(piece: Buffer, pieces: Iterator<Buffer>): Buffer {
  for (let filling = piece; ; ) {
    if (filling.length > 0) return filling;
    const next = pieces.next();
    if (next.done === true) return filling;
    filling = next.value;
  }
}

function isSameMemory(a: Buffer, b: Buffer): boolean {
  return a.buffer === b.buffer && a.byteOffset === b.byteOffset;
}

/** The greatest length up to `limit` up to which all is the same. Piece by piece, then by halving: the comparing is left to memcmp. */
function commonLength(limit: number, same: (from: number, to: number) => boolean): number {
  let low = 0;
  while (low < limit && same(low, Math.min(limit, low + COMPARED_BYTES))) low += COMPARED_BYTES;
  if (low >= limit) return limit;
  let high = Math.min(limit, low + COMPARED_BYTES) - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (same(low, middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
