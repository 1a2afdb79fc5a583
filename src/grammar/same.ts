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
  return difference(syntax, a, b, "") === undefined;
}

/** Where two values differ. */
export interface Difference {
  /** Path of the field below the value; empty for the value itself. */
  readonly path: string;
  readonly syntax: FieldSyntax;
  /** What the second value says there. */
  readonly found: unknown;
}

/** The first field in which two values of a directive's line differ. */
export function firstDifference({ syntax }: Directive, a: LineValue, b: LineValue): Difference | undefined {
  return difference(syntax, a, b, "");
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

function difference(syntax: FieldSyntax, a: unknown, b: unknown, path: string): Difference | undefined {
  if (a === b) return undefined;
  const here: Difference = { path, syntax, found: b };
  if (a === undefined || b === undefined)
    return isNothing(syntax, a) && isNothing(syntax, b) ? undefined : here;
  if (Array.isArray(a) && Array.isArray(b)) {
    if (a.length !== b.length) return here;
    return firstOf(a, (element, i) => difference(syntax, element, b[i], `${path}[${i}]`));
  }
  const message = messageOf(syntax.field);
  if (message !== undefined)
    return firstOf(comparedFields(message), ({ syntax: inner, get }) => {
      const [left, right] = [get(a as Fields), get(b as Fields)];
      // Of a hundred fields most are set in neither: no path is made for them.
      return left === right ? undefined : difference(inner, left, right, `${path}.${inner.field.name}`);
    });
  return isPhrase(syntax.type) && sameWords(String(a), String(b)) ? undefined : here;
}

function firstOf<T, R>(items: readonly T[], find: (item: T, index: number) => R | undefined): R | undefined {
  for (let i = 0; i < items.length; i++) {
    const found = find(items[i]!, i);
    if (found !== undefined) return found;
  }
  return undefined;
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
