import { parseBranch } from "../../src/grammar/version.ts";

/** A file of cases. */
export interface CaseFile {
  readonly cases: readonly Case[];
}

/** A configuration, and what is expected of it. */
export interface Case {
  readonly title: string;
  readonly text: string;
  readonly steps: readonly Step[];
}

/** Something done with the configuration, and what comes of it. */
export type Step =
  | { readonly kind: "means"; readonly keyword: string; readonly name: string; readonly expected: string }
  | {
      readonly kind: "change";
      readonly keyword: string;
      readonly name: string;
      /** The branch of HAProxy that runs; empty: any. */
      readonly version: string;
      readonly change: string;
      /** The whole text afterwards, or the refusals. */
      readonly expected: string;
    };

const HEADING = /^==== (.*)$/;
const STEP = /^---- (means|change|gives) ?(\S*) ?(\S*) ?(?:under (\S+))?$/;

/** Reads a file; README.md describes it. */
export function parseCases(file: string, content: string): CaseFile {
  const cases: Case[] = [];
  let title = "";
  let blocks: { heading: RegExpExecArray | undefined; lines: string[] }[] = [];
  const finish = () => {
    const [first, ...rest] = blocks;
    if (first !== undefined && title !== "")
      cases.push({ title, text: joined(first.lines), steps: stepsOf(file, title, rest) });
  };
  for (const line of content.replace(/\n$/, "").split("\n")) {
    const heading = HEADING.exec(line);
    const step = STEP.exec(line);
    if (heading !== null) {
      finish();
      title = heading[1]!;
      blocks = [{ heading: undefined, lines: [] }];
    } else if (step !== null) blocks.push({ heading: step, lines: [] });
    else if (/^(----|====)/.test(line)) throw new Error(`${file}: ${title}: no such step: ${line}`);
    else if (blocks.length === 0) throw new Error(`${file}: a line before the first case: ${line}`);
    else blocks.at(-1)!.lines.push(line);
  }
  finish();
  return { cases };
}

/** Writes a file. */
export function printCases({ cases }: CaseFile): string {
  return cases
    .map(({ title, text, steps }) => `==== ${title}\n${text}${steps.map(printStep).join("")}`)
    .join("");
}

function stepsOf(
  file: string,
  title: string,
  blocks: readonly { heading: RegExpExecArray | undefined; lines: string[] }[],
): Step[] {
  const steps: Step[] = [];
  for (let i = 0; i < blocks.length; i++) {
    const { heading, lines } = blocks[i]!;
    const [, kind, keyword = "", name = "", version = ""] = heading!;
    if (version !== "" && (kind !== "change" || parseBranch(version) === undefined))
      throw new Error(`${file}: ${title}: only a change is under a version, such as 2.6: ${heading![0]}`);
    if (kind === "means") steps.push({ kind, keyword, name, expected: joined(lines) });
    else if (kind === "change") {
      const next = blocks[i + 1];
      if (next?.heading?.[1] !== "gives")
        throw new Error(`${file}: ${title}: a change must be followed by what it gives`);
      steps.push({ kind, keyword, name, version, change: joined(lines), expected: joined(next.lines) });
      i++;
    } else throw new Error(`${file}: ${title}: only a change gives something`);
  }
  if (steps.length === 0) throw new Error(`${file}: ${title}: a case without a step proves nothing`);
  return steps;
}

function printStep(step: Step): string {
  const where = [step.keyword, step.name].filter((part) => part !== "").join(" ");
  if (step.kind === "means") return `---- means ${where}\n${step.expected}`;
  const under = step.version === "" ? "" : ` under ${step.version}`;
  return `---- change ${where}${under}\n${step.change}---- gives\n${step.expected}`;
}

function joined(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
