import type { DescMessage } from "@bufbuild/protobuf";
import { isPhrase } from "../grammar/argument.ts";
import type { Directive, LineValue } from "../grammar/directive.ts";
import { messageOf } from "../grammar/field.ts";
import { splitPhrase } from "../grammar/phrase.ts";
import { type Fields, slotOf } from "../grammar/slot.ts";
import { type FieldSyntax, wordOf } from "../grammar/syntax.ts";

/** Where the words of a line are in its message. */
export interface WordCount {
  /** All of them; keywords count. */
  readonly words: number;
  /** Those in conditions, sample expressions and the like, which are text on purpose. */
  readonly text: number;
  /** Those that no field knows. */
  readonly unmodelled: number;
}

/** Counts the words of a typed line of `words` words by where its message has them. */
export function countWords({ syntax }: Directive, value: LineValue, words: number): WordCount {
  const count = { words, text: 0, unmodelled: 0 };
  add(syntax, false, value, count);
  return count;
}

interface Count {
  text: number;
  unmodelled: number;
}

function add(syntax: FieldSyntax, unmodelled: boolean, value: unknown, count: Count): void {
  if (value === undefined) return;
  const inner = messageOf(syntax.field);
  for (const element of Array.isArray(value) ? value : [value]) {
    if (inner !== undefined)
      for (const field of fieldsOf(inner))
        add(field.syntax, field.unmodelled, field.get(element as Fields), count);
    else if (unmodelled) count.unmodelled++;
    else if (isPhrase(syntax.type)) count.text += splitPhrase(element as string)?.length ?? 0;
  }
}

interface CountedField {
  readonly syntax: FieldSyntax;
  readonly unmodelled: boolean;
  readonly get: (message: Fields) => unknown;
}

const FIELDS = new WeakMap<DescMessage, readonly CountedField[]>();

/** The fields that can hold text or unknown words, or messages that can. */
function fieldsOf(desc: DescMessage): readonly CountedField[] {
  let fields = FIELDS.get(desc);
  if (fields === undefined) {
    fields = desc.fields
      .map((field) => ({ syntax: wordOf(field), get: slotOf(field).get }))
      .map(({ syntax, get }) => ({ syntax, get, unmodelled: syntax.place === "unmodelled" }))
      .filter(
        ({ syntax, unmodelled }) =>
          unmodelled || isPhrase(syntax.type) || messageOf(syntax.field) !== undefined,
      );
    FIELDS.set(desc, fields);
  }
  return fields;
}
