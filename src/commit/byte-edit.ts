import type { Edit as ByteEdit } from "../store/delta.ts";

/** Contents are compared in pieces of this many bytes, so that what lies behind the first difference is not read. */
const PIECE_BYTES = 65_536;

let last: { readonly before: Buffer; readonly after: Buffer; readonly edit: ByteEdit } | undefined;

/** The one stretch in which two contents differ. Buffers are taken not to change: those that were compared last are not compared again, since an intent and its revision ask for the same. */
export function byteEdit(before: Buffer, after: Buffer): ByteEdit {
  if (last?.before !== before || last.after !== after) last = { before, after, edit: compare(before, after) };
  return last.edit;
}

function compare(before: Buffer, after: Buffer): ByteEdit {
  const shorter = Math.min(before.length, after.length);
  const head = commonLength(shorter, (from, to) =>
    before.subarray(from, to).equals(after.subarray(from, to)),
  );
  const tail = commonLength(shorter - head, (from, to) =>
    before
      .subarray(before.length - to, before.length - from)
      .equals(after.subarray(after.length - to, after.length - from)),
  );
  return {
    offset: head,
    length: before.length - head - tail,
    bytes: after.subarray(head, after.length - tail),
  };
}

/** The greatest length up to `limit` up to which all is the same. Piece by piece, then by halving: the comparing is left to memcmp. */
function commonLength(limit: number, same: (from: number, to: number) => boolean): number {
  let low = 0;
  while (low < limit && same(low, Math.min(limit, low + PIECE_BYTES))) low += PIECE_BYTES;
  if (low >= limit) return limit;
  let high = Math.min(limit, low + PIECE_BYTES) - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (same(low, middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
