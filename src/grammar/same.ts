import type { DescMessage } from "@bufbuild/protobuf";
import { isPhrase } from "./argument.ts";
import type { Directive, LineValue } from "./directive.ts";
import { messageOf } from "./field.ts";
import { splitPhrase } from "./phrase.ts";
import { type Fields, slotOf } from "./slot.ts";
import { type FieldSyntax, wordOf } from "./syntax.ts";

/** True when two values of a directive's line say the same. Texts of several words may be quoted differently. */
export function sameValue({ syntax }: Directive, a: LineValue, b: LineValue): boolean {
  return same(syntax, a, b);
}

interface ComparedField {
  readonly syntax: FieldSyntax;
  readonly get: (message: Fields) => unknown;
}

const COMPARED = new WeakMap<DescMessage, readonly ComparedField[]>();

function comparedFields(desc: DescMessage): readonly ComparedField[] {
  let fields = COMPARED.get(desc);
  if (fields === undefined) {
    fields = desc.fields.map((field) => ({ syntax: wordOf(field), get: slotOf(field).get }));
    COMPARED.set(desc, fields);
  }
  return fields;
}

function same(syntax: FieldSyntax, a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((element, i) => same(syntax, element, b[i]));
  const message = messageOf(syntax.field);
  if (message !== undefined)
    return comparedFields(message).every(({ syntax: inner, get }) =>
      same(inner, get(a as Fields), get(b as Fields)),
    );
  return isPhrase(syntax.type) && sameWords(String(a), String(b));
}

function sameWords(a: string, b: string): boolean {
  const left = splitPhrase(a);
  const right = splitPhrase(b);
  return (
    left !== undefined &&
    right !== undefined &&
    left.length === right.length &&
    left.every((word, i) => word === right[i])
  );
}
