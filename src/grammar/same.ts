import type { DescMessage } from "@bufbuild/protobuf";
import { isPhrase } from "./argument.ts";
import type { Directive, LineValue } from "./directive.ts";
import { messageOf } from "./field.ts";
import { compileLine } from "./line-codec.ts";
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
  if (a === undefined || b === undefined) return isNothing(syntax, a) && isNothing(syntax, b);
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((element, i) => same(syntax, element, b[i]));
  const message = messageOf(syntax.field);
  if (message !== undefined)
    return comparedFields(message).every(({ syntax: inner, get }) =>
      same(inner, get(a as Fields), get(b as Fields)),
    );
  return isPhrase(syntax.type) && sameWords(String(a), String(b));
}

/** A message that stands without a keyword is not there when it has no words. */
function isNothing(syntax: FieldSyntax, value: unknown): boolean {
  if (value === undefined) return true;
  const message = messageOf(syntax.field);
  if (message === undefined || !("place" in syntax) || syntax.place !== "positional") return false;
  const out: string[] = [];
  compileLine(message, { follow: new Set(), without: syntax.without }).write(value as Fields, out, undefined);
  return out.length === 0;
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
