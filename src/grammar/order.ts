import type { WordSyntax } from "./syntax.ts";

/**
 * How a line was written, as far as its message does not tell: in which order its parts stood, and with which spelling of their
 * keywords. It is read from the old line when a line is changed, so that what did not change keeps its place.
 */
export class Order {
  readonly entries: OrderEntry[] = [];
}

/** True when the parts whose order means something stand as they are declared, so that they are written in this order without being told. */
export function isAsDeclared({ entries }: Order): boolean {
  let last = -1;
  for (const { part, inner } of entries) {
    if (inner !== undefined && !isAsDeclared(inner)) return false;
    const { syntax } = part as { readonly syntax?: WordSyntax };
    if (syntax?.ordered !== true) continue;
    const place = syntax.field.parent.fields.indexOf(syntax.field);
    if (place < last) return false;
    last = place;
  }
  return true;
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
  /** The keyword was joined to the word behind it. */
  readonly joined?: boolean;
}
