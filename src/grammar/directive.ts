import { Type } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import { argumentOf, CONDITION_WORDS } from "./argument.ts";
import { hasPresence, isBool, messageOf } from "./field.ts";
import { formOf } from "./forms.ts";
import { GrammarError } from "./grammar-error.ts";
import { compileLine, isNegated, readLine } from "./line-codec.ts";
import type { Order } from "./order.ts";
import { readHead, refuseHiddenZero } from "./parameter.ts";
import type { Words } from "./phrase.ts";
import { creatorOf, type Fields } from "./slot.ts";
import type { LineCodec } from "./step.ts";
import type { Keyword, LineSyntax } from "./syntax.ts";

/** What one line of a directive says: a value of its field, or of its field's elements. */
export type LineValue = unknown;

/** A field of a section: reads and writes the lines that begin with its keyword. */
export interface Directive {
  readonly syntax: LineSyntax;
  /** The field is repeated and each of its elements is a line. */
  readonly repeated: boolean;
  /** All ways to spell the keyword; the first is the one that is written. */
  readonly spellings: readonly Keyword[];
  /** The codec of the line's message. */
  readonly codec: LineCodec | undefined;
  /** Reads a line whose keyword is spelled so (`no` in front not counted); undefined when the words do not fit. */
  read(words: Words, start: number, spelling: Keyword, order?: Order): LineValue;
  /** Writes a value. `like` is how the old line was written, if there is one. */
  write(
    value: LineValue,
    like: { readonly spelling: Keyword; readonly order: Order | undefined } | undefined,
  ): string[];
}

/** Compiles a field of a section. */
export function compileDirective(syntax: LineSyntax): Directive {
  const { field } = syntax;
  if (field.oneof !== undefined) throw new GrammarError(field, "a directive cannot be a member of a choice");
  if (field.fieldKind === "map") throw new GrammarError(field, "a map has no order, so it cannot be written");
  if (messageOf(field) !== undefined)
    return syntax.form === "" ? messageDirective(syntax) : formDirective(syntax);
  if (syntax.form !== "") throw new GrammarError(field, "a hand-written form reads a message");
  if (syntax.without.length > 0) throw new GrammarError(field, "without is for messages");
  if (isBool(field) && syntax.type !== Type.ON_OFF) return flagDirective(syntax);
  if (syntax.negatable || syntax.no !== undefined)
    throw new GrammarError(field, "only an optional bool is negatable");
  return valueDirective(syntax);
}

function flagDirective(syntax: LineSyntax): Directive {
  const { field, keyword, no, negatable } = syntax;
  if (negatable && no !== undefined) throw new GrammarError(field, "it takes negatable or no, not both");
  if ((negatable || no !== undefined) !== hasPresence(field))
    throw new GrammarError(
      field,
      "a flag is a bool; an optional bool needs negatable or a word for false (no)",
    );
  const spellings = [keyword, ...syntax.aliases, ...(no === undefined ? [] : [no])];
  return {
    syntax,
    repeated: false,
    spellings,
    codec: undefined,
    read(words, start, spelling) {
      if (words.length > start + spelling.length) return undefined;
      return start > 0 ? (negatable ? false : undefined) : spelling !== no;
    },
    write(value, like) {
      if (value === true) return [...(like === undefined || like.spelling === no ? keyword : like.spelling)];
      return no === undefined ? ["no", ...(like?.spelling ?? keyword)] : [...no];
    },
  };
}

function valueDirective(syntax: LineSyntax): Directive {
  const { field, keyword, separator, rest, type } = syntax;
  const argument = argumentOf(syntax, NOTHING);
  const list = field.fieldKind === "list";
  const repeated = list && separator === "" && !rest;
  const name = field.localName;
  if (!list && !hasPresence(field)) refuseHiddenZero(field);
  if (type !== Type.CONDITION && keyword.some((word) => CONDITION_WORDS.includes(word)))
    throw new GrammarError(field, "its keyword is taken for a condition");
  return {
    syntax,
    repeated,
    spellings: [keyword, ...syntax.aliases],
    codec: undefined,
    read(words, start, spelling) {
      if (start > 0) return undefined;
      const holder = { [name]: list ? [] : undefined } as unknown as Fields;
      const from = spelling.length;
      if (argument.read(holder, words, from, words.length) !== words.length) return undefined;
      const value = holder[name];
      return repeated ? (value as unknown[])[0] : value;
    },
    write(value, like) {
      const out = [...(like?.spelling ?? keyword)];
      argument.write({ [name]: repeated ? [value] : value } as unknown as Fields, 0, out);
      return out;
    },
  };
}

const NOTHING: ReadonlySet<string> = new Set();

function messageDirective(syntax: LineSyntax): Directive {
  const { field, keyword } = syntax;
  const codec = compileLine(messageOf(field)!, { follow: NOTHING, without: syntax.without });
  if (syntax.negatable) throw new GrammarError(field, "a message says with prefix_no that it is negatable");
  const spellings = [keyword, ...syntax.aliases];
  const { head } = codec;
  return {
    syntax,
    repeated: field.fieldKind === "list",
    spellings,
    codec,
    read(words, start, spelling, order) {
      const from = start + spelling.length;
      if (head === undefined) return readLine(codec, words, from, start > 0, order);
      const message = codec.create();
      const last = spelling.at(-1)!;
      if (start > 0 || readHead(head, [last], message, words[from - 1]!.value) === undefined)
        return undefined;
      return codec.read(message, words, from, words.length, order) === words.length ? message : undefined;
    },
    write(value, like) {
      const message = value as Fields;
      const out = [...(isNegated(codec, message) ? ["no"] : []), ...(like?.spelling ?? keyword)];
      if (head !== undefined) out.push(`${out.pop()!}${head.write(message)}`);
      codec.write(message, out, like?.order);
      return out;
    },
  };
}

function formDirective(syntax: LineSyntax): Directive {
  const { field, keyword } = syntax;
  const form = formOf(field, syntax.form);
  const create = creatorOf(messageOf(field)!);
  return {
    syntax,
    repeated: field.fieldKind === "list",
    spellings: [keyword, ...syntax.aliases],
    codec: undefined,
    read(words, start, spelling) {
      const message = create();
      return start === 0 && form.read(message, words, spelling.length) ? message : undefined;
    },
    write: (value, like) => [...(like?.spelling ?? keyword), ...form.write(value as Fields)],
  };
}
