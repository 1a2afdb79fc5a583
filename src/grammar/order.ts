/**
 * How a line was written, as far as its message does not tell: in which order its parts stood, and with which spelling of their
 * keywords. It is read from the old line when a line is changed, so that what did not change keeps its place.
 */
export class Order {
  readonly entries: OrderEntry[] = [];
}

/** One part of a line as it was met. */
export interface OrderEntry {
  /** The part, as the codec knows it. */
  readonly part: object;
  /** The keyword, when it was spelled in another way than it is written. */
  readonly spelling: readonly string[] | undefined;
  /** The order inside the part. */
  readonly inner: Order | undefined;
  /** For words that no field stands for: how many there were. */
  readonly words: number;
}
