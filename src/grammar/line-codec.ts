import type { DescField, DescMessage, DescOneof } from "@bufbuild/protobuf";
import { Type } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import { CONDITION_WORDS } from "./argument.ts";
import { GrammarError } from "./grammar-error.ts";
import { headOf } from "./head.ts";
import { planLine, type RunPlan } from "./line-plan.ts";
import type { Order } from "./order.ts";
import { compileParameter } from "./parameter.ts";
import type { Words } from "./phrase.ts";
import { positionalStep } from "./positional.ts";
import { type ChoiceGroup, Run } from "./run.ts";
import { creatorOf, type Fields, slotOf } from "./slot.ts";
import { type CompiledStep, type LineCodec, type LineContext, type Step, WHOLE_LINE } from "./step.ts";
import { isOptionalChoice, type WordSyntax } from "./syntax.ts";

/**
 * Compiles the codec of a line message. There is one for each context that a message stands in, since what may follow decides where a
 * text of several words ends.
 */
export function compileLine(desc: DescMessage, context: LineContext = WHOLE_LINE): LineCodec {
  let codecs = CODECS.get(desc);
  if (codecs === undefined) {
    codecs = new Map();
    CODECS.set(desc, codecs);
  }
  const key = `${[...context.follow].sort().join(" ")}|${context.without.join(" ")}`;
  let codec = codecs.get(key);
  if (codec === undefined) {
    codec = compile(desc, context);
    codecs.set(key, codec);
  }
  return codec;
}

const CODECS = new WeakMap<DescMessage, Map<string, LineCodec>>();

function compile(desc: DescMessage, context: LineContext): LineCodec {
  const { heads, negation, places } = planLine(desc, context.without);
  const create = creatorOf(desc);
  const steps: Step[] = [];
  let follow = context.follow;
  let first: readonly string[] = [];
  let empty = true;
  for (const place of places.toReversed()) {
    const compiled =
      place.kind === "positional"
        ? positionalStep(place.parts, follow, compileLine)
        : compileRun(place, follow, create);
    steps.unshift(compiled.step);
    follow = new Set([...follow, ...compiled.first]);
    first = compiled.empty ? [...compiled.first, ...first] : compiled.first;
    empty &&= compiled.empty;
  }
  const negate = negation === undefined ? undefined : slotOf(negation.field);
  return {
    desc,
    head: headOf(heads),
    negation: negation?.field,
    first,
    empty: empty || negate !== undefined,
    create,
    read(message, words, at, end, order) {
      let next = at;
      for (let i = 0; i < steps.length; i++) {
        next = steps[i]!.read(message, words, next, end, order);
        if (next < 0) return -1;
      }
      return next;
    },
    write(message, out, order) {
      for (const step of steps) step.write(message, out, order);
    },
  };
}

function compileRun(plan: RunPlan, follow: ReadonlySet<string>, create: () => Fields): CompiledStep {
  const choicePlans = plan.members.filter((member) => "oneof" in member);
  const keyed = plan.members
    .flatMap((member) => ("oneof" in member ? member.members : [member]))
    .filter(({ place }) => place === "keyword");
  const first = keyed.flatMap(firstWords);
  const inside = new Set([...follow, ...first]);
  /** What may come behind a member of a choice: everything but another member. */
  const behindChoice = new Map(
    choicePlans.map(({ oneof }) => [
      oneof,
      new Set([...follow, ...keyed.filter(({ field }) => field.oneof !== oneof).flatMap(firstWords)]),
    ]),
  );
  const choices: ChoiceGroup[] = choicePlans.map(({ oneof, members }) => ({
    oneof,
    optional: isOptionalChoice(oneof),
    fallback: fallbackOf(oneof, members, inside),
  }));
  const run = new Run(
    keyed.map((syntax) =>
      compileParameter(
        syntax,
        (syntax.field.oneof && behindChoice.get(syntax.field.oneof)) ?? inside,
        compileLine,
      ),
    ),
    choices,
    plan.unmodelled,
    create,
  );
  return { step: run, first, empty: run.required.length === 0 };
}

/** The member of a choice that has no keyword: it is meant when no other member is there. */
function fallbackOf(
  oneof: DescOneof,
  members: readonly WordSyntax[],
  follow: ReadonlySet<string>,
): CompiledStep | undefined {
  const positional = members.filter(({ place }) => place === "positional");
  if (positional.length > 1) throw new GrammarError(oneof, "only one member of a choice can be positional");
  return positional[0] === undefined ? undefined : positionalStep(positional, follow, compileLine);
}

function firstWords(syntax: WordSyntax): string[] {
  if (syntax.type === Type.CONDITION) return [...CONDITION_WORDS];
  const words = [syntax.keyword, ...syntax.aliases].map((keyword) => keyword[0]!);
  return syntax.no === undefined ? words : [...words, syntax.no[0]!];
}

/** Reads all words from `from` on as one message; undefined when they are no such message. */
export function readLine(
  codec: LineCodec,
  words: Words,
  from: number,
  negated: boolean,
  order?: Order,
): Fields | undefined {
  const message = codec.create();
  if (negated) {
    if (codec.negation === undefined) return undefined;
    slotOf(codec.negation).set(message, negationValue(codec.negation));
  }
  return codec.read(message, words, from, words.length, order) === words.length ? message : undefined;
}

/** True when the message is written with `no` in front. */
export function isNegated(codec: LineCodec, message: Fields): boolean {
  if (codec.negation === undefined) return false;
  const value = slotOf(codec.negation).get(message);
  return value !== undefined && value !== false;
}

function negationValue(field: DescField): unknown {
  return field.fieldKind === "message" ? creatorOf(field.message)() : true;
}
