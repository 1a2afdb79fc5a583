import { ScalarType } from "@bufbuild/protobuf";
import { Type } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import { scalarTypeOf } from "./field.ts";
import { GrammarError } from "./grammar-error.ts";
import { isRequired } from "./head.ts";
import { scalarOf } from "./scalar.ts";
import { type Fields, slotOf } from "./slot.ts";
import type { CompiledStep, Step } from "./step.ts";
import { validityOf, type WordSyntax } from "./syntax.ts";

/** A word that is two values, such as `10.0.0.1:80` and `user:password`. */
export interface Compound {
  /** Takes the word apart; the tail is undefined when the word is all head. Undefined when the word is neither. */
  split(word: string): { readonly head: string; readonly tail: unknown } | undefined;
  /** Puts the parts together. */
  join(head: string, tail: unknown): string;
}

/** Addresses whose last colon is no separator: paths, and the forms of section 11 of the manual that take no port. */
const PORTLESS = /^(?:\/|(?:unix|abns|abnsz|sockpair|fd)@)/;

/**
 * The two values of one word. A number is taken from the end of the word; text begins at the first separator, so that a
 * password may hold it.
 */
export function compoundOf(head: WordSyntax, tail: WordSyntax): Compound {
  const { suffix, field } = tail;
  const scalar = scalarOf(tail);
  const max = Number(validityOf(field)?.max ?? Number.MAX_SAFE_INTEGER);
  const numeric = scalarTypeOf(field) !== ScalarType.STRING;
  const required = isRequired(tail);
  const address = head.type === Type.ADDRESS;
  return {
    split(word) {
      const whole = required ? undefined : { head: word, tail: undefined };
      if (address && PORTLESS.test(word)) return whole;
      const at = numeric ? word.lastIndexOf(suffix) : word.indexOf(suffix);
      if (at <= 0) return at === 0 && address ? splitAt(word, at) : whole;
      return splitAt(word, at) ?? whole;
    },
    join: (value, rest) => (rest === undefined ? value : `${value}${suffix}${scalar.write(rest as never)}`),
  };

  function splitAt(word: string, at: number) {
    const value = scalar.read(word.slice(at + suffix.length));
    if (value === undefined || (numeric && (value as number) > max))
      return required ? undefined : { head: word, tail: undefined };
    return { head: word.slice(0, at), tail: value };
  }
}

/** Compiles a positional field and the field that is joined to its word. */
export function compoundStep(parts: readonly WordSyntax[], follow: ReadonlySet<string>): CompiledStep {
  const [head, tail, further] = parts as [WordSyntax, WordSyntax, WordSyntax?];
  if (further !== undefined) throw new GrammarError(further.field, "only one suffix can be joined to a word");
  if (head.field.fieldKind !== "scalar" || scalarTypeOf(head.field) !== ScalarType.STRING)
    throw new GrammarError(head.field, "a suffix is joined to a string");
  if (tail.field.fieldKind !== "scalar") throw new GrammarError(tail.field, "a suffix is a scalar");
  const compound = compoundOf(head, tail);
  const headSlot = slotOf(head.field);
  const tailSlot = slotOf(tail.field);
  const required = isRequired(head);
  const step: Step = {
    read(message, words, at, end) {
      if (at >= end || words[at]!.value === "" || (!required && follow.has(words[at]!.value)))
        return required ? -1 : at;
      const value = compound.split(words[at]!.value);
      if (value === undefined) return -1;
      headSlot.set(message, value.head);
      if (value.tail !== undefined) tailSlot.set(message, value.tail);
      return at + 1;
    },
    write(message: Fields, out: string[]) {
      const value = headSlot.get(message) as string | undefined;
      if (value !== undefined) out.push(compound.join(value, tailSlot.get(message)));
    },
  };
  return { step, first: [], empty: !required };
}
