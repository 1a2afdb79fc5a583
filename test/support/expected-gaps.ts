import { readFileSync } from "node:fs";

/** What a conformance test looks for: a keyword in the grammar, one of HAProxy's registry, a sample that HAProxy accepts. */
export type GapKind = "keyword" | "registry" | "sample";

/** What is missing and expected to be, by subject, with the reason. */
export function expectedGaps(kind: GapKind): Map<string, string> {
  const text = readFileSync(new URL("../conformance/expected-gaps.txt", import.meta.url), "utf8");
  const gaps = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [of, subject, reason] = line.split("\t");
    if (subject === undefined || reason === undefined || reason === "")
      throw new Error(`expected-gaps.txt: "${line}" is not kind, subject, reason`);
    if (of === kind) gaps.set(subject, reason);
  }
  return gaps;
}

/**
 * Compares what is missing with what is expected to be: both must be the same, so that the file never outlives its reasons. A subject that
 * ends with `*` stands for all that begin so.
 */
export function compareGaps(
  kind: GapKind,
  missing: readonly string[],
): { unexpected: string[]; outdated: string[] } {
  const expected = [...expectedGaps(kind).keys()];
  const covers = (gap: string, subject: string) =>
    gap.endsWith("*") ? subject.startsWith(gap.slice(0, -1)) : subject === gap;
  return {
    unexpected: missing.filter((subject) => !expected.some((gap) => covers(gap, subject))),
    outdated: expected.filter((gap) => !missing.some((subject) => covers(gap, subject))),
  };
}
