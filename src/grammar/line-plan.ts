import type { DescMessage, DescOneof } from "@bufbuild/protobuf";
import { GrammarError } from "./grammar-error.ts";
import { type WordSyntax, wordOf } from "./syntax.ts";

/** A positional value, with the values that are joined to its word. */
export interface PositionalPlan {
  readonly kind: "positional";
  readonly parts: WordSyntax[];
}

/** Keywords in any order. */
export interface RunPlan {
  readonly kind: "run";
  /** Fields and choices, as they are declared. */
  readonly members: (WordSyntax | ChoicePlan)[];
  /** The field for words that no other knows. */
  unmodelled: WordSyntax | undefined;
}

/** A oneof among the keywords of a run. */
export interface ChoicePlan {
  readonly oneof: DescOneof;
  readonly members: readonly WordSyntax[];
}

/** What the annotations of a line message say about the order of its words. */
export interface LinePlan {
  /** Fields that are part of the keyword in front. */
  readonly heads: readonly WordSyntax[];
  /** The field that stands for a `no` in front of the line. */
  readonly negation: WordSyntax | undefined;
  /** What stands behind one another. */
  readonly places: readonly (PositionalPlan | RunPlan)[];
}

/** Reads the annotations of a line message, but for the fields named in `without`. */
export function planLine(desc: DescMessage, without: readonly string[]): LinePlan {
  for (const name of without)
    if (!desc.fields.some((field) => field.name === name))
      throw new GrammarError(desc, `it has no field "${name}"`);
  const heads: WordSyntax[] = [];
  const places: (PositionalPlan | RunPlan)[] = [];
  let negation: WordSyntax | undefined;
  for (const member of desc.members) {
    if (member.kind === "oneof") {
      const members = member.fields.filter(({ name }) => !without.includes(name)).map(wordOf);
      negation ??= members.find(({ place }) => place === "prefixNo");
      lastRun(places).members.push({ oneof: member, members });
      continue;
    }
    if (without.includes(member.name)) continue;
    const syntax = wordOf(member);
    switch (syntax.place) {
      case "parenthesised":
      case "glued":
        heads.push(syntax);
        break;
      case "prefixNo":
        negation = syntax;
        break;
      case "unmodelled":
        lastRun(places).unmodelled = syntax;
        break;
      case "positional":
        places.push({ kind: "positional", parts: [syntax] });
        break;
      case "suffix": {
        const last = places.at(-1);
        if (last?.kind !== "positional")
          throw new GrammarError(member, "a suffix must come behind a positional field");
        last.parts.push(syntax);
        break;
      }
      case "keyword":
        lastRun(places).members.push(syntax);
    }
  }
  return { heads, negation, places };
}

/** The run that the next keyword belongs to: neighbours are one run. */
function lastRun(places: (PositionalPlan | RunPlan)[]): RunPlan {
  const last = places.at(-1);
  if (last?.kind === "run") return last;
  const run: RunPlan = { kind: "run", members: [], unmodelled: undefined };
  places.push(run);
  return run;
}
