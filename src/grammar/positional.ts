import { Type } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import { argumentOf, isPhrase } from "./argument.ts";
import { compoundStep } from "./compound.ts";
import { GrammarError } from "./grammar-error.ts";
import { isRequired } from "./head.ts";
import { Order } from "./order.ts";
import { type Fields, slotOf } from "./slot.ts";
import type { CompiledStep, LineCompiler, Step } from "./step.ts";
import type { WordSyntax } from "./syntax.ts";

/** Compiles a field that stands where it is declared, with the fields that are joined to its word. */
export function positionalStep(
  parts: readonly WordSyntax[],
  follow: ReadonlySet<string>,
  compile: LineCompiler,
): CompiledStep {
  const [syntax] = parts as [WordSyntax];
  const { field } = syntax;
  if (syntax.aliases.length > 0 || syntax.no !== undefined)
    throw new GrammarError(field, "a positional field has no keyword to spell");
  if (parts.length > 1) return compoundStep(parts, follow);
  if (field.fieldKind === "message") return messageStep(syntax, follow, compile);
  if (field.fieldKind === "list" && !syntax.rest && syntax.separator === "")
    throw new GrammarError(field, "a repeated positional field needs separator or rest");
  if (syntax.type === Type.CONDITION)
    throw new GrammarError(field, "a condition begins with if or unless, so it is not positional");
  return valueStep(syntax, follow);
}

function valueStep(syntax: WordSyntax, follow: ReadonlySet<string>): CompiledStep {
  const { field } = syntax;
  const argument = argumentOf(syntax, follow);
  const slot = slotOf(field);
  const list = field.fieldKind === "list";
  const required = isRequired(syntax) || (list && !syntax.rest) || field.oneof !== undefined;
  const bounded = isPhrase(syntax.type) || syntax.rest;
  const step: Step = {
    read(message, words, at, end) {
      if (at >= end || (!required && !bounded && follow.has(words[at]!.value))) return required ? -1 : at;
      const next = argument.read(message, words, at, end);
      return next < 0 && !required ? at : next;
    },
    write(message, out) {
      const value = slot.get(message);
      if (list ? (value as unknown[]).length === 0 : value === undefined) return;
      argument.write(message, 0, out);
    },
  };
  return { step, first: [], empty: !required };
}

/** The words of a message that stands without a keyword; a message without words is not there. */
function messageStep(syntax: WordSyntax, follow: ReadonlySet<string>, compile: LineCompiler): CompiledStep {
  const { field } = syntax;
  if (field.fieldKind !== "message") throw new GrammarError(field, "it is no message");
  const codec = compile(field.message, { follow, without: syntax.without });
  if (codec.head !== undefined) throw new GrammarError(field, "its message needs a keyword in front");
  const slot = slotOf(field);
  const step: Step = {
    read(message, words, at, end, order) {
      const value = codec.create();
      const inner = order === undefined ? undefined : new Order();
      const next = codec.read(value, words, at, end, inner);
      if (next < 0) return codec.empty ? at : -1;
      if (next === at) return at;
      slot.set(message, value);
      order?.entries.push({ part: step, spelling: undefined, inner, words: 0 });
      return next;
    },
    write(message, out, order) {
      const value = slot.get(message);
      if (value === undefined) return;
      codec.write(value as Fields, out, order?.entries.find(({ part }) => part === step)?.inner);
    },
  };
  return { step, first: codec.first, empty: codec.empty };
}
