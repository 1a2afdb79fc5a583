import type { DescField, DescMessage } from "@bufbuild/protobuf";
import type { Head } from "./head.ts";
import type { Order } from "./order.ts";
import type { Words } from "./phrase.ts";
import type { Fields } from "./slot.ts";

/** Part of a line: words that stand together, in the order of the message's declaration. */
export interface Step {
  /** Reads what is there at `at`; the index behind it, or -1 when the words do not fit. */
  read(message: Fields, words: Words, at: number, end: number, order: Order | undefined): number;
  /** Writes what the message has. With an order, as that says. */
  write(message: Fields, out: string[], order: Order | undefined): void;
}

/** Reads and writes the words of a message. Words are values: quoting is for the text they stand in. */
export interface LineCodec {
  readonly desc: DescMessage;
  /** What the message's keyword holds besides itself, such as the name in `set-var(txn.x)`. */
  readonly head: Head | undefined;
  /** The field that stands for a `no` before the line. */
  readonly negation: DescField | undefined;
  /** The words that a message of this kind can begin with, as far as they are known. */
  readonly first: readonly string[];
  /** True when the message may have no words at all. */
  readonly empty: boolean;
  create(): Fields;
  /** Reads a message at `at`, as far as it goes; the index behind it, or -1. */
  read(message: Fields, words: Words, at: number, end: number, order: Order | undefined): number;
  /** Writes the words of a message. */
  write(message: Fields, out: string[], order: Order | undefined): void;
}

/** Where a message stands. */
export interface LineContext {
  /** Words that may follow the message. */
  readonly follow: ReadonlySet<string>;
  /** Fields that the message does not have here, by name. */
  readonly without: readonly string[];
}

/** The context of a message that ends with its line and has all its fields. */
export const WHOLE_LINE: LineContext = { follow: new Set(), without: [] };

/** A step, what it can begin with, and whether it may be absent. */
export interface CompiledStep {
  readonly step: Step;
  readonly first: readonly string[];
  readonly empty: boolean;
}

/** Compiles the codec of a line message: what compiles the fields of a message is given it for the messages in them. */
export type LineCompiler = (desc: DescMessage, context: LineContext) => LineCodec;
