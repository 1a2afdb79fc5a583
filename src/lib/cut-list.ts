/** The beginning of a list that goes into a message, and how much it leaves out. */
export interface CutList {
  readonly first: string[];
  /** How many there are beyond those. */
  readonly more: number;
}

const MAX_ITEMS = 1_000;
const MAX_BYTES = 64 * 1024;

/** The first items of a list, so few that a message with them is small whatever they are: a reader cannot go on past a message that is too large for it. */
export function cutList(items: readonly string[], maxItems = MAX_ITEMS): CutList {
  let bytes = 0;
  let count = 0;
  for (const item of items) {
    bytes += Buffer.byteLength(item);
    if (count === maxItems || bytes > MAX_BYTES) break;
    count += 1;
  }
  return { first: items.slice(0, count), more: items.length - count };
}
