import { readFileSync } from "node:fs";
import { parseBranch, reaches } from "../../src/grammar/version.ts";
import type { JudgingHaproxy } from "./judging-haproxys.ts";

/** What a conformance test looks for: see the head of expected-gaps.txt. */
export type GapKind = "keyword" | "registry" | "kinds" | "sample";

/** Subjects that are missing and expected to be, in a HAProxy. */
function expectedGaps(kind: GapKind, haproxy: JudgingHaproxy): string[] {
  const text = readFileSync(new URL("../conformance/expected-gaps.txt", import.meta.url), "utf8");
  const gaps: string[] = [];
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [of, subject, reason, where] = line.split("\t");
    if (subject === undefined || reason === undefined || reason === "")
      throw new Error(`expected-gaps.txt: "${line}" is not kind, subject, reason, where`);
    if (of === kind && (where === undefined || isIn(haproxy, where))) gaps.push(subject);
  }
  return gaps;
}

function isIn({ version, features }: JudgingHaproxy, where: string): boolean {
  const [, sign, branch] = /^(>=|<)(.*)$/.exec(where) ?? [];
  if (branch === undefined) return features.has(where);
  const limit = parseBranch(branch);
  if (limit === undefined) throw new Error(`expected-gaps.txt: "${branch}" is no version`);
  return reaches(version, limit) === (sign === ">=");
}

/**
 * Compares what is missing with what is expected to be: both must be the same, so that the file never outlives its reasons. A subject that
 * ends with `*` stands for all that begin so. What was not looked for, because the HAProxy does not have it, says nothing.
 */
export function compareGaps(
  kind: GapKind,
  haproxy: JudgingHaproxy,
  missing: readonly string[],
  lookedFor: (subject: string) => boolean = () => true,
): { unexpected: string[]; outdated: string[] } {
  const expected = expectedGaps(kind, haproxy);
  const covers = (gap: string, subject: string) =>
    gap.endsWith("*") ? subject.startsWith(gap.slice(0, -1)) : subject === gap;
  return {
    unexpected: missing.filter((subject) => !expected.some((gap) => covers(gap, subject))),
    outdated: expected.filter((gap) => lookedFor(gap) && !missing.some((subject) => covers(gap, subject))),
  };
}
