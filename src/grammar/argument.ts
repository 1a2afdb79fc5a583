import type { DescField } from "@bufbuild/protobuf";
import { Type } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import { GrammarError } from "./grammar-error.ts";
import { joinPhrase, splitPhrase, type Words } from "./phrase.ts";
import { scalarOf } from "./scalar.ts";
import { type Fields, slotOf } from "./slot.ts";
import type { FieldSyntax } from "./syntax.ts";

/** The words of a value, without its keyword. */
export interface Argument {
  /** Reads the value at `at` into the message; the index behind it, or -1 when the words are no value. */
  read(message: Fields, words: Words, at: number, end: number): number;
  /** Writes the value: of a repeated field that takes a keyword for each element, the element `index`. */
  write(message: Fields, index: number, out: string[]): void;
}

/** The types whose values are as many words as stand before one that may follow. */
export function isPhrase(type: Type): boolean {
  return type === Type.EXPRESSION || type === Type.TEXT || type === Type.CONDITION;
}

/** True for a repeated field whose keyword is there for each element. */
export function repeatsKeyword({ field, separator, rest }: FieldSyntax): boolean {
  return field.fieldKind === "list" && separator === "" && !rest;
}

/** How a value of a scalar, an enum or a list of them is written. `follow` are the words that end one of several words. */
export function argumentOf(syntax: FieldSyntax, follow: ReadonlySet<string>): Argument {
  const { field, type, separator, rest } = syntax;
  if (field.fieldKind === "map" || field.fieldKind === "message")
    throw new GrammarError(field, "it is no value of words");
  if (separator !== "" && rest) throw new GrammarError(field, "it takes separator or rest, not both");
  if (field.fieldKind !== "list" && (separator !== "" || rest))
    throw new GrammarError(field, "separator and rest are for repeated fields");
  if (isPhrase(type)) return phraseArgument(syntax, follow);
  if (field.fieldKind !== "list") return wordArgument(syntax);
  if (separator !== "") return separatedArgument(syntax, separator);
  return rest ? restArgument(syntax, follow) : elementArgument(syntax);
}

function wordArgument(syntax: FieldSyntax): Argument {
  const { read, write } = scalarOf(syntax);
  const slot = slotOf(syntax.field);
  const name = syntax.field.oneof === undefined ? syntax.field.localName : undefined;
  return {
    read(message, words, at, end) {
      if (at >= end) return -1;
      const value = read(words[at]!.value);
      if (value === undefined) return -1;
      if (name === undefined) slot.set(message, value);
      else message[name] = value;
      return at + 1;
    },
    write: (message, _index, out) => out.push(write(slot.get(message) as never)),
  };
}

function elementArgument(syntax: FieldSyntax): Argument {
  const scalar = scalarOf(syntax);
  const list = listOf(syntax.field);
  return {
    read(message, words, at, end) {
      if (at >= end) return -1;
      const value = scalar.read(words[at]!.value);
      if (value === undefined) return -1;
      list(message).push(value);
      return at + 1;
    },
    write: (message, index, out) => out.push(scalar.write(list(message)[index] as never)),
  };
}

function separatedArgument(syntax: FieldSyntax, separator: string): Argument {
  const { read, write } = scalarOf(syntax);
  const { localName } = syntax.field;
  const list = listOf(syntax.field);
  return {
    read(message, words, at, end) {
      if (at >= end) return -1;
      const values: unknown[] = words[at]!.value.split(separator);
      for (let i = 0; i < values.length; i++) {
        const value = read(values[i] as string);
        if (value === undefined) return -1;
        values[i] = value;
      }
      message[localName] = values;
      return at + 1;
    },
    write: (message, _index, out) =>
      out.push(
        list(message)
          .map((value) => write(value as never))
          .join(separator),
      ),
  };
}

function restArgument(syntax: FieldSyntax, follow: ReadonlySet<string>): Argument {
  const scalar = scalarOf(syntax);
  const list = listOf(syntax.field);
  return {
    read(message, words, at, end) {
      const values: unknown[] = [];
      let next = at;
      while (next < end && !follow.has(words[next]!.value)) {
        const value = scalar.read(words[next]!.value);
        if (value === undefined) return -1;
        values.push(value);
        next++;
      }
      if (next === at) return -1;
      list(message).push(...values);
      return next;
    },
    write(message, _index, out) {
      for (const value of list(message)) out.push(scalar.write(value as never));
    },
  };
}

/** Several words as one text. A condition keeps its `if` or `unless`, and goes to the end of the line. */
function phraseArgument(syntax: FieldSyntax, follow: ReadonlySet<string>): Argument {
  const { field, type } = syntax;
  if (scalarOf(syntax).read("x") !== "x") throw new GrammarError(field, "several words are kept as a string");
  const repeated = field.fieldKind === "list";
  const slot = slotOf(field);
  const list = listOf(field);
  return {
    read(message, words, at, end) {
      let next = at;
      if (type === Type.CONDITION) {
        if (end - at < 2 || !CONDITION_WORDS.includes(words[at]!.value)) return -1;
        next = end;
      } else {
        while (next < end && !follow.has(words[next]!.value)) next++;
      }
      const text = joinPhrase(words, at, next);
      if (text === undefined) return -1;
      if (repeated) list(message).push(text);
      else slot.set(message, text);
      return next;
    },
    write(message, index, out) {
      const text = (repeated ? list(message)[index] : slot.get(message)) as string;
      const words = splitPhrase(text);
      if (words === undefined) throw new RangeError(`${field} is no text that can be written`);
      out.push(...words);
    },
  };
}

/** The words that begin a condition. */
export const CONDITION_WORDS: readonly string[] = ["if", "unless"];

function listOf(field: DescField): (message: Fields) => unknown[] {
  const name = field.localName;
  return (message) => message[name] as unknown[];
}
