import { type DescEnum, ScalarType } from "@bufbuild/protobuf";
import { Type } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import { enumOf, scalarTypeOf } from "./field.ts";
import { GrammarError } from "./grammar-error.ts";
import { type FieldSyntax, spellingOf } from "./syntax.ts";

/** A value that is one word. */
export interface Scalar {
  /** The value of a word; undefined when it is none, or would be written in another way. */
  read(word: string): unknown;
  /** The word of a value. */
  write(value: never): string;
}

/** How the value of a field, or of each of its elements, is one word. */
export function scalarOf(syntax: FieldSyntax): Scalar {
  const { field, type } = syntax;
  const enumeration = enumOf(field);
  if (enumeration !== undefined) return enumScalar(enumeration);
  switch (scalarTypeOf(field)) {
    case ScalarType.STRING:
      return TEXT;
    case ScalarType.UINT32:
      return UNSIGNED;
    case ScalarType.INT32:
      return SIGNED;
    case ScalarType.BOOL:
      if (type === Type.ON_OFF) return ON_OFF;
      throw new GrammarError(field, "a bool that is a word must be of type TYPE_ON_OFF");
    default:
      throw new GrammarError(
        field,
        "its proto type cannot be a word: use string, uint32, int32, bool or an enum",
      );
  }
}

/** The words of an enum, by number; the number 0 has none. */
export function enumWords(desc: DescEnum): ReadonlyMap<number, string> {
  const words = new Map<number, string>();
  for (const value of desc.values) if (value.number !== 0) words.set(value.number, spellingOf(value).word);
  return words;
}

/** An empty word ends the arguments for HAProxy's parsers, so it is no value. */
const TEXT: Scalar = {
  read: (word) => (word === "" ? undefined : word),
  write: (value: string) => value,
};

const UNSIGNED: Scalar = integer(0, 0xffffffff);
const SIGNED: Scalar = integer(-0x80000000, 0x7fffffff);

const ON_OFF: Scalar = {
  read: (word) => (word === "on" ? true : word === "off" ? false : undefined),
  write: (value: boolean) => (value ? "on" : "off"),
};

function integer(min: number, max: number): Scalar {
  return {
    read: (word) => readInteger(word, min, max),
    write: (value: number) => String(value),
  };
}

/** The value of decimal digits that are written back as they are: no plus, no leading zero. */
function readInteger(word: string, min: number, max: number): number | undefined {
  const negative = word.charCodeAt(0) === MINUS;
  const start = negative ? 1 : 0;
  const length = word.length - start;
  if (length < 1 || length > 10) return undefined;
  const first = word.charCodeAt(start);
  if (first === ZERO && (length > 1 || negative)) return undefined;
  let value = 0;
  for (let i = start; i < word.length; i++) {
    const digit = word.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  if (negative) value = -value;
  return value >= min && value <= max ? value : undefined;
}

const MINUS = 45;
const ZERO = 48;

function enumScalar(desc: DescEnum): Scalar {
  const words = enumWords(desc);
  const numbers = new Map<string, number>();
  for (const [number, word] of words) {
    if (numbers.has(word)) throw new GrammarError(desc, `the word "${word}" is taken by two values`);
    numbers.set(word, number);
  }
  return {
    read: (word) => numbers.get(word),
    write(value: number) {
      const word = words.get(value);
      if (word === undefined) throw new RangeError(`${desc} has no word for ${value}`);
      return word;
    },
  };
}
