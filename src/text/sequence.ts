import { Hints, nextId } from "./hints.ts";

/** An item of a sequence: some lines. */
export interface SequenceItem {
  /** Stays the same when the item is replaced by an edited one; unique in the process. */
  readonly id: number;
  /** The number of lines, the measure by which items are found. */
  readonly length: number;
  /** The keys by which the item is found, see `keyOf` in `hints.ts`. */
  readonly keys: Iterable<number>;
}

/** Where an item stands: its position, and the number of lines before it. */
export interface Slot {
  readonly position: number;
  readonly start: number;
}

/** Consecutive items. What is needed to find one lies in arrays of its own, so that no other item is touched. */
interface Block<T> {
  readonly id: number;
  readonly items: readonly T[];
  readonly ids: readonly number[];
  /** For each item the number of lines before it in the block, and one more for the end. */
  readonly starts: readonly number[];
}

/** Where to look: the items that may hold a key, and the blocks that may hold an item. */
interface Index {
  readonly items: Hints;
  readonly blocks: Hints;
}

/** Items per block when a block is made; it may grow to twice as many. */
const FILL = 48;
/** Up to this many items, looking at each is faster than an index. */
const INDEX_ABOVE = 8;

/**
 * An immutable sequence of items in blocks. An edit copies one block and the list of blocks, and shares the rest, so it
 * costs nearly the same in a long sequence as in a short one. Finding an item by key takes constant time.
 */
export class Sequence<T extends SequenceItem> implements Iterable<T> {
  readonly #blocks: readonly Block<T>[];
  readonly #blockIds: readonly number[];
  /** For each block the position of its first item, and one more for the end. */
  readonly #positions: readonly number[];
  /** For each block the number of lines before it, and one more for the end. */
  readonly #starts: readonly number[];
  #index: Index | undefined;

  private constructor(
    blocks: readonly Block<T>[],
    blockIds: readonly number[],
    positions: readonly number[],
    starts: readonly number[],
  ) {
    this.#blocks = blocks;
    this.#blockIds = blockIds;
    this.#positions = positions;
    this.#starts = starts;
  }

  /** A sequence of these items. */
  static of<T extends SequenceItem>(items: readonly T[]): Sequence<T> {
    return Sequence.#from(blocksOf(nextId(), items));
  }

  static #from<T extends SequenceItem>(blocks: readonly Block<T>[]): Sequence<T> {
    return new Sequence(
      blocks,
      blocks.map(({ id }) => id),
      sums(blocks, ({ items }) => items.length),
      sums(blocks, ({ starts }) => starts.at(-1)!),
    );
  }

  /** The number of items. */
  get size(): number {
    return this.#positions[this.#blocks.length]!;
  }

  /** The number of lines in all items. */
  get length(): number {
    return this.#starts[this.#blocks.length]!;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const { items } of this.#blocks) yield* items;
  }

  /** The item at a position, which must exist. */
  at(position: number): T {
    const block = lastAtMost(this.#positions, this.#blocks.length, position);
    return this.#blocks[block]!.items[position - this.#positions[block]!]!;
  }

  /** The item that holds line `index`, which must exist. */
  slotAt(index: number): Slot {
    const block = lastAtMost(this.#starts, this.#blocks.length, index);
    const before = this.#starts[block]!;
    const { items, starts } = this.#blocks[block]!;
    const offset = lastAtMost(starts, items.length, index - before);
    return { position: this.#positions[block]! + offset, start: before + starts[offset]! };
  }

  /** The number of lines before the item at a position, which may be the one behind the last. */
  startOf(position: number): number {
    if (position >= this.size) return this.length;
    const block = lastAtMost(this.#positions, this.#blocks.length, position);
    return this.#starts[block]! + this.#blocks[block]!.starts[position - this.#positions[block]!]!;
  }

  /** Positions of the items that may hold a key, in order. The caller looks into them to be sure. */
  holding(key: number): Iterable<number> {
    if (this.size <= INDEX_ABOVE) return Array(this.size).keys();
    const { items, blocks } = this.#indexed();
    const positions: number[] = [];
    for (const item of items.get(key)) {
      for (const id of blocks.get(item)) {
        const block = this.#blockIds.indexOf(id);
        const offset = block < 0 ? -1 : this.#blocks[block]!.ids.indexOf(item);
        if (offset >= 0) positions.push(this.#positions[block]! + offset);
      }
    }
    return positions.length > 1 ? positions.sort((a, b) => a - b) : positions;
  }

  /**
   * The sequence with `deleteCount` items at `position` replaced. Where one takes the place of one with the same id, only
   * the keys in `fresh` can be new.
   */
  splice(position: number, deleteCount: number, items: readonly T[], fresh: Iterable<number>): Sequence<T> {
    if (this.#blocks.length === 0) return Sequence.of(items);
    const first = lastAtMost(this.#positions, this.#blocks.length, position);
    const from = position - this.#positions[first]!;
    let end = first + 1;
    let block = this.#blocks[first]!;
    while (from + deleteCount > block.items.length) block = appended(block, this.#blocks[end++]!);
    const changed = spliced(block, from, deleteCount, items);
    const sequence =
      end === first + 1 && changed.items.length > 0 && changed.items.length <= FILL * 2
        ? this.#withBlock(first, changed)
        : Sequence.#from([
            ...this.#blocks.slice(0, first),
            ...blocksOf(block.id, changed.items),
            ...this.#blocks.slice(end),
          ]);
    if (this.#index !== undefined && !this.#index.items.worn && !this.#index.blocks.worn) {
      sequence.#index = this.#index;
      const one = deleteCount === 1 && items.length === 1 && changed.ids === block.ids;
      for (const { id, keys } of items) for (const key of one ? fresh : keys) this.#index.items.add(key, id);
      if (changed.ids !== block.ids)
        sequence.#noteBlocks(first, first + sequence.#blocks.length - this.#blocks.length + (end - first));
    }
    return sequence;
  }

  #withBlock(at: number, block: Block<T>): Sequence<T> {
    const blocks = this.#blocks.slice();
    blocks[at] = block;
    return new Sequence(
      blocks,
      this.#blockIds,
      resized(this.#positions, at, block.items.length),
      resized(this.#starts, at, block.starts.at(-1)!),
    );
  }

  #indexed(): Index {
    if (this.#index === undefined) {
      this.#index = { items: new Hints(this.length), blocks: new Hints(this.size) };
      for (const { id, keys } of this) for (const key of keys) this.#index.items.add(key, id);
      this.#noteBlocks(0, this.#blocks.length);
    }
    return this.#index;
  }

  #noteBlocks(from: number, to: number): void {
    for (let i = from; i < to; i++)
      for (const item of this.#blocks[i]!.ids) this.#index!.blocks.add(item, this.#blockIds[i]!);
  }
}

function blocksOf<T extends SequenceItem>(firstId: number, items: readonly T[]): Block<T>[] {
  const blocks: Block<T>[] = [];
  for (let i = 0; i < items.length; i += FILL) {
    const own = items.slice(i, i + FILL);
    blocks.push({
      id: i === 0 ? firstId : nextId(),
      items: own,
      ids: own.map(({ id }) => id),
      starts: sums(own, ({ length }) => length),
    });
  }
  return blocks;
}

function appended<T>(block: Block<T>, other: Block<T>): Block<T> {
  const before = block.starts.at(-1)!;
  return {
    id: block.id,
    items: [...block.items, ...other.items],
    ids: [...block.ids, ...other.ids],
    starts: [...block.starts, ...other.starts.slice(1).map((start) => start + before)],
  };
}

function spliced<T extends SequenceItem>(
  block: Block<T>,
  from: number,
  deleteCount: number,
  items: readonly T[],
): Block<T> {
  if (deleteCount === 1 && items.length === 1) {
    const [item] = items as readonly [T];
    const changed = block.items.slice();
    changed[from] = item;
    return {
      id: block.id,
      items: changed,
      ids: block.ids[from] === item.id ? block.ids : block.ids.with(from, item.id),
      starts: resized(block.starts, from, item.length),
    };
  }
  const before = block.starts[from]!;
  const own = sums(items, ({ length }) => length).map((start) => start + before);
  const shift = own.at(-1)! - block.starts[from + deleteCount]!;
  return {
    id: block.id,
    items: block.items.toSpliced(from, deleteCount, ...items),
    ids: block.ids.toSpliced(from, deleteCount, ...items.map(({ id }) => id)),
    starts: [
      ...block.starts.slice(0, from),
      ...own,
      ...block.starts.slice(from + deleteCount + 1).map((start) => start + shift),
    ],
  };
}

/** Running sums, beginning with 0: one more than there are elements. */
function sums<E>(elements: readonly E[], measure: (element: E) => number): number[] {
  const result = [0];
  let sum = 0;
  for (const element of elements) {
    sum += measure(element);
    result.push(sum);
  }
  return result;
}

/** Running sums after the element at `index` got another measure. */
function resized(running: readonly number[], index: number, measure: number): readonly number[] {
  const shift = measure - (running[index + 1]! - running[index]!);
  if (shift === 0) return running;
  const result = running.slice();
  for (let i = index + 1; i < result.length; i++) result[i]! += shift;
  return result;
}

/** The last of the first `count` ascending numbers that is at most `value`. */
function lastAtMost(ascending: readonly number[], count: number, value: number): number {
  let low = 0;
  let high = count - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (ascending[middle]! <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}
