import { type DescField, ScalarType } from "@bufbuild/protobuf";
import { Type } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import { argumentOf, CONDITION_WORDS, repeatsKeyword } from "./argument.ts";
import { checkSyntax } from "./check-syntax.ts";
import { enumOf, hasPresence, isBool, messageOf, scalarTypeOf } from "./field.ts";
import { GrammarError } from "./grammar-error.ts";
import { type Head, isRequired } from "./head.ts";
import { Order, type OrderEntry } from "./order.ts";
import type { Words } from "./phrase.ts";
import { type Fields, slotOf } from "./slot.ts";
import type { LineCodec, LineCompiler } from "./step.ts";
import { type Keyword, validityOf, type WordSyntax } from "./syntax.ts";

/** A field that stands behind a keyword of its own. */
export interface Parameter {
  readonly syntax: WordSyntax;
  /** The words by which it is found; one that ends with `(` stands for all words that begin so and end with `)`. */
  readonly keys: readonly string[];
  /** The beginnings of words by which it is found. */
  readonly prefixes: readonly string[];
  /** How many words it has at most, the keyword included; unknown beyond that counts as not its own. */
  readonly arity: number;
  /** Goes to the end of the line, so nothing can stand behind it. */
  readonly last: boolean;
  /** It may be there several times. */
  readonly repeats: boolean;
  /** How many times the message has it. */
  count(message: Fields): number;
  /** Reads keyword and value at `at`; the index behind, or -1. */
  read(message: Fields, words: Words, at: number, end: number, order: Order | undefined): number;
  /** Writes keyword and value; of a repeated one, the element `index`. */
  write(message: Fields, index: number, out: string[], entry: OrderEntry | undefined): void;
}

/** Compiles a field that stands behind a keyword. `follow` are the words that end a value of several words. */
export function compileParameter(
  syntax: WordSyntax,
  follow: ReadonlySet<string>,
  compile: LineCompiler,
): Parameter {
  const { field } = syntax;
  if (field.fieldKind === "map") throw new GrammarError(field, "a map has no order, so it cannot be written");
  checkSyntax(syntax);
  const message = messageOf(field);
  if (message !== undefined)
    return messageParameter(syntax, compile(message, { follow, without: syntax.without }));
  if (isBool(field) && syntax.type !== Type.ON_OFF) return flagParameter(syntax);
  if (syntax.no !== undefined) throw new GrammarError(field, "only an optional bool has a word for false");
  return valueParameter(syntax, follow);
}

function flagParameter(syntax: WordSyntax): Parameter {
  const { field, keyword, aliases, no } = syntax;
  const slot = slotOf(field);
  if (field.oneof !== undefined)
    throw new GrammarError(field, "a bool cannot be a member of a choice: use a message without fields");
  if ((no !== undefined) !== hasPresence(field))
    throw new GrammarError(field, "a flag is a bool; an optional bool needs a word for false (no)");
  const spellings = [keyword, ...aliases, ...(no === undefined ? [] : [no])];
  if (syntax.joins && (spellings.length > 1 || keyword.length > 1))
    throw new GrammarError(
      field,
      "a keyword that may be joined to the word behind it is one word, without other spellings",
    );
  const isSet = (message: Fields) =>
    no === undefined ? slot.get(message) === true : slot.get(message) !== undefined;
  return {
    syntax,
    keys: spellings.map((words) => words[0]!),
    prefixes: [],
    arity: Math.max(...spellings.map((words) => words.length)),
    last: false,
    repeats: false,
    count: (message) => (isSet(message) ? 1 : 0),
    read(message, words, at, end, order) {
      const spelling =
        spellings.length === 1 && keyword.length === 1 ? keyword : matched(spellings, words, at, end);
      if (spelling === undefined) return -1;
      slot.set(message, spelling !== no);
      order?.entries.push({
        part: this,
        spelling: spelling === keyword || spelling === no ? undefined : spelling,
        inner: undefined,
        words: 0,
      });
      return at + spelling.length;
    },
    write(message, _index, out, entry) {
      const value = slot.get(message);
      out.push(...(value === false ? no! : (entry?.spelling ?? keyword)));
    },
  };
}

function valueParameter(syntax: WordSyntax, follow: ReadonlySet<string>): Parameter {
  const { field, keyword, aliases } = syntax;
  const argument = argumentOf(syntax, follow);
  if (isRequired(syntax)) refuseHiddenZero(field);
  const condition = syntax.type === Type.CONDITION;
  const spellings = condition ? CONDITION_WORDS.map((word) => [word]) : [keyword, ...aliases];
  const simple = spellings.length === 1 && keyword.length === 1;
  const repeats = repeatsKeyword(syntax);
  const count = countOf(field, repeats);
  return {
    syntax,
    keys: spellings.map((words) => words[0]!),
    prefixes: [],
    arity: Math.max(...spellings.map((words) => words.length)) + 1,
    last: condition,
    repeats,
    count,
    read(message, words, at, end, order) {
      const spelling = simple || condition ? keyword : matched(spellings, words, at, end);
      if (spelling === undefined) return -1;
      const next = argument.read(message, words, condition ? at : at + spelling.length, end);
      if (next >= 0)
        order?.entries.push({
          part: this,
          spelling: spelling === keyword ? undefined : spelling,
          inner: undefined,
          words: 0,
        });
      return next;
    },
    write(message, index, out, entry) {
      if (!condition) out.push(...(entry?.spelling ?? keyword));
      argument.write(message, index, out);
    },
  };
}

/** Throws for a number without presence that may be zero. */
export function refuseHiddenZero(field: DescField): void {
  if (
    !isNumber(field) ||
    Number(validityOf(field)?.min ?? 0) > 0 ||
    (validityOf(field)?.oneOf.length ?? 0) > 0
  )
    return;
  throw new GrammarError(
    field,
    "zero would be the same as nothing: make it optional, or say that it is at least 1",
  );
}

function isNumber(field: DescField): boolean {
  const type = scalarTypeOf(field);
  return type === ScalarType.UINT32 || type === ScalarType.INT32;
}

function messageParameter(syntax: WordSyntax, codec: LineCodec): Parameter {
  const { field, keyword, aliases } = syntax;
  const { head } = codec;
  const slot = slotOf(field);
  const repeats = field.fieldKind === "list";
  const spellings = [keyword, ...aliases];
  if (head !== undefined && spellings.some((words) => words.length > 1))
    throw new GrammarError(field, "a keyword with parentheses or a value joined to it is one word");
  if (codec.negation !== undefined) throw new GrammarError(field, "only a whole line can have the prefix no");
  const names = spellings.map((words) => words[0]!);
  const bare = head === undefined || head.optional;
  return {
    syntax,
    keys: [...(bare ? names : []), ...(head?.kind === "parentheses" ? names.map((name) => `${name}(`) : [])],
    prefixes: head?.kind === "glue" ? names : [],
    arity: 1,
    last: false,
    repeats,
    count: (message) =>
      repeats ? (slot.get(message) as unknown[]).length : slot.get(message) === undefined ? 0 : 1,
    read(message, words, at, end, order) {
      const value = codec.create();
      let spelling: Keyword | undefined;
      if (head === undefined) {
        spelling = matched(spellings, words, at, end);
      } else {
        const name = readHead(head, names, value, words[at]!.value);
        spelling = name === undefined ? undefined : [name];
      }
      if (spelling === undefined) return -1;
      const inner = order === undefined ? undefined : new Order();
      const next = codec.read(value, words, at + spelling.length, end, inner);
      if (next < 0) return -1;
      if (repeats) (slot.get(message) as unknown[]).push(value);
      else slot.set(message, value);
      order?.entries.push({
        part: this,
        spelling: isSame(spelling, keyword) ? undefined : spelling,
        inner,
        words: 0,
      });
      return next;
    },
    write(message, index, out, entry) {
      const value = (repeats ? (slot.get(message) as unknown[])[index] : slot.get(message)) as Fields;
      const words = entry?.spelling ?? keyword;
      if (head === undefined) out.push(...words);
      else out.push(`${words[0]!}${head.write(value)}`);
      codec.write(value, out, entry?.inner);
    },
  };
}

function isSame(one: Keyword, other: Keyword): boolean {
  return one === other || (one.length === other.length && one.every((word, i) => word === other[i]));
}

/** Reads the word that a keyword and its head make; the keyword, or undefined when it is another word. */
export function readHead(
  head: Head,
  names: readonly string[],
  value: Fields,
  word: string,
): string | undefined {
  for (const name of names) {
    if (head.optional && word === name) return name;
    if (!word.startsWith(name)) continue;
    const rest = word.slice(name.length);
    const inside =
      head.kind === "glue"
        ? rest
        : rest.startsWith("(") && rest.endsWith(")")
          ? rest.slice(1, -1)
          : undefined;
    if (inside !== undefined && head.read(value, inside)) return name;
  }
  return undefined;
}

export function matched(
  spellings: readonly Keyword[],
  words: Words,
  at: number,
  end: number,
): Keyword | undefined {
  for (const spelling of spellings) {
    if (at + spelling.length > end) continue;
    let i = 0;
    while (i < spelling.length && words[at + i]!.value === spelling[i]) i++;
    if (i === spelling.length) return spelling;
  }
  return undefined;
}

/** How often a value is there: lists by their length or, when they are one word or all words, at most once. */
function countOf(field: DescField, repeats: boolean): (message: Fields) => number {
  const slot = slotOf(field);
  if (field.fieldKind === "list")
    return (message) =>
      repeats
        ? (slot.get(message) as unknown[]).length
        : Math.min((slot.get(message) as unknown[]).length, 1);
  if (hasPresence(field) || field.oneof !== undefined)
    return (message) => (slot.get(message) === undefined ? 0 : 1);
  const unset = enumOf(field) !== undefined || scalarTypeOf(field) !== ScalarType.STRING ? 0 : "";
  return (message) => (slot.get(message) === unset ? 0 : 1);
}
