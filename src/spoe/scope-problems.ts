import type { Document } from "../text/document.ts";
import type { Section } from "../text/section.ts";

/** Something for which HAProxy refuses a scope, whatever haproxy.cfg says. */
export interface ScopeProblem {
  readonly section: Section;
  /** Index of the line in the section. */
  readonly index: number;
  readonly description: string;
}

/** What HAProxy takes for the name of a section or scope. */
export const SPOE_NAME = /^[A-Za-z0-9_:.-]+$/;

/**
 * What is wrong with the sections of a scope as a whole: no names, names that stand twice, second agents, messages in two groups. What they name is looked at elsewhere, and what stands in
 * conditional blocks not at all.
 */
export function scopeProblems(document: Document): ScopeProblem[] {
  const problems: ScopeProblem[] = [];
  const sections = new Set<string>();
  const groupOf = new Map<string, string>();
  let agent: string | undefined;
  for (const section of document.sections()) {
    const { keyword, name } = section;
    if (keyword === "" || document.armOf(section) !== undefined) continue;
    const title = `${keyword} ${name}`;
    const add = (index: number, description: string) => problems.push({ section, index, description });
    if (!SPOE_NAME.test(name)) add(0, `${keyword} needs a name of letters, digits and - _ . :`);
    else if (sections.has(title)) add(0, `${title} is there already`);
    else if (keyword === "spoe-agent" && agent !== undefined)
      add(0, `the scope has an agent already, ${agent}`);
    sections.add(title);
    if (keyword === "spoe-agent") agent ??= name;
    for (const { index, directive, value, isRepeated } of listedNames(document, section)) {
      if (isRepeated) add(index, `${directive} names ${value} twice`);
      if (keyword !== "spoe-group") continue;
      const other = groupOf.get(value) ?? name;
      if (other !== name) add(index, `message ${value} is in group ${other} already`);
      groupOf.set(value, other);
    }
  }
  return problems;
}

/** The agents of a scope that count, in order. */
export function agentsOf(document: Document): Section[] {
  return document.list("spoe-agent").filter((section) => document.armOf(section) === undefined);
}

/** The directives whose words are names, none of which may stand twice in a section. */
const LISTS: ReadonlySet<string> = new Set(["messages", "groups"]);

interface ListedName {
  readonly index: number;
  readonly directive: string;
  readonly value: string;
  readonly isRepeated: boolean;
}

function* listedNames(document: Document, section: Section): Generator<ListedName> {
  const seen = new Set<string>();
  for (let index = 1; index < section.length; index++) {
    const [first, ...names] = section.lines.at(index)!.words;
    if (first === undefined || !LISTS.has(first.value) || document.armOf(section, index) !== undefined)
      continue;
    const directive = first.value;
    for (const { value } of names) {
      const key = `${directive} ${value}`;
      yield { index, directive, value, isRepeated: seen.has(key) };
      seen.add(key);
    }
  }
}
