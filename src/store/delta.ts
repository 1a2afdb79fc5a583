/** One stretch of bytes that is replaced by others. */
export interface Edit {
  /** Where the stretch begins in the content before. */
  readonly offset: number;
  /** How many bytes are replaced; 0 for an insertion. */
  readonly length: number;
  /** What stands there instead; empty for a deletion. */
  readonly bytes: Uint8Array;
}

/** By how many bytes the edits make the content longer; negative when it gets shorter. */
export function growth(edits: readonly Edit[]): number {
  return edits.reduce((sum, edit) => sum + edit.bytes.length - edit.length, 0);
}

/** Applies edits one list after another, each relative to the result of the one before. Throws a RangeError when one does not fit its content. */
export function applyEdits(base: Uint8Array, ...lists: readonly (readonly Edit[])[]): Uint8Array {
  let pieces: Piece[] = [{ inserted: undefined, start: 0, end: base.length }];
  for (const edits of lists) pieces = edited(pieces, edits);
  const size = pieces.reduce((sum, piece) => sum + piece.end - piece.start, 0);
  const result = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    result.set((piece.inserted ?? base).subarray(piece.start, piece.end), at);
    at += piece.end - piece.start;
  }
  return result;
}

/** The one list of edits that does what `first` and then `second` do, whatever content they are for. */
export function composeEdits(first: readonly Edit[], second: readonly Edit[]): Edit[] {
  // The content is not known and not needed: it is a base without end, of which edits only cut pieces.
  const whole: Piece = { inserted: undefined, start: 0, end: Number.MAX_SAFE_INTEGER };
  return toEdits(edited(edited([whole], first), second));
}

/** A stretch of the base, or (`inserted`) of bytes that an edit brought. Base stretches stay in the base's order. */
interface Piece {
  readonly inserted: Uint8Array | undefined;
  readonly start: number;
  readonly end: number;
}

function edited(pieces: readonly Piece[], edits: readonly Edit[]): Piece[] {
  const result: Piece[] = [];
  let index = 0;
  // How much of pieces[index] has been used, and where that is in the content that the pieces make.
  let used = 0;
  let position = 0;
  const advance = (to: number, keep: boolean) => {
    while (position < to) {
      const piece = pieces[index];
      if (piece === undefined)
        throw new RangeError(`an edit reaches beyond the content: ${to} > ${position}`);
      const start = piece.start + used;
      const end = Math.min(piece.end, start + to - position);
      if (keep) result.push({ inserted: piece.inserted, start, end });
      position += end - start;
      if (end === piece.end) {
        index += 1;
        used = 0;
      } else {
        used += end - start;
      }
    }
  };
  for (const edit of edits) {
    if (edit.offset < position) throw new RangeError(`edits overlap at ${edit.offset}`);
    advance(edit.offset, true);
    advance(edit.offset + edit.length, false);
    if (edit.bytes.length > 0) result.push({ inserted: edit.bytes, start: 0, end: edit.bytes.length });
  }
  const rest = pieces[index];
  if (rest !== undefined) result.push({ ...rest, start: rest.start + used }, ...pieces.slice(index + 1));
  return result;
}

/** Reads edits off pieces whose last one is the base's endless rest. */
function toEdits(pieces: readonly Piece[]): Edit[] {
  const edits: Edit[] = [];
  let offset = 0;
  let inserted: Uint8Array[] = [];
  for (const piece of pieces) {
    if (piece.inserted !== undefined) {
      inserted.push(piece.inserted.subarray(piece.start, piece.end));
      continue;
    }
    if (piece.start > offset || inserted.length > 0) {
      edits.push({ offset, length: piece.start - offset, bytes: new Uint8Array(Buffer.concat(inserted)) });
      inserted = [];
    }
    offset = piece.end;
  }
  return edits;
}

/** The stored form of edits: varints of count, then distance from the end of the edit before, length, number of bytes, and the bytes. */
export function encodeEdits(edits: readonly Edit[]): Uint8Array {
  const numbers: number[] = [];
  const parts: Uint8Array[] = [];
  const flush = () => {
    parts.push(Uint8Array.from(numbers));
    numbers.length = 0;
  };
  pushVarint(numbers, edits.length);
  let end = 0;
  for (const edit of edits) {
    pushVarint(numbers, edit.offset - end);
    pushVarint(numbers, edit.length);
    pushVarint(numbers, edit.bytes.length);
    flush();
    parts.push(edit.bytes);
    end = edit.offset + edit.length;
  }
  flush();
  return Buffer.concat(parts);
}

/** The opposite of `encodeEdits`. Throws a RangeError when the bytes are not what it writes. */
export function decodeEdits(data: Uint8Array): Edit[] {
  const reader = { data, at: 0 };
  const edits: Edit[] = [];
  let end = 0;
  for (let count = readVarint(reader); count > 0; count -= 1) {
    const offset = end + readVarint(reader);
    const length = readVarint(reader);
    const size = readVarint(reader);
    if (reader.at + size > data.length) throw new RangeError("stored edits end too early");
    edits.push({ offset, length, bytes: data.subarray(reader.at, reader.at + size) });
    reader.at += size;
    end = offset + length;
  }
  if (reader.at !== data.length) throw new RangeError("stored edits have something behind them");
  return edits;
}

function pushVarint(out: number[], value: number): void {
  // No bit operators: offsets may pass 32 bits.
  let rest = value;
  while (rest >= 0x80) {
    out.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  out.push(rest);
}

function readVarint(reader: { readonly data: Uint8Array; at: number }): number {
  let value = 0;
  let scale = 1;
  for (;;) {
    const byte = reader.data[reader.at];
    if (byte === undefined || scale > 2 ** 49)
      throw new RangeError("stored edits hold no number where one is expected");
    reader.at += 1;
    value += (byte % 0x80) * scale;
    if (byte < 0x80) return value;
    scale *= 0x80;
  }
}
