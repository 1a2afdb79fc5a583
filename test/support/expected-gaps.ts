import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { parseBranch, reaches, type Version } from "../../src/grammar/version.ts";

/** What a conformance test looks for: see the head of expected-gaps.txt. */
export type GapKind = "keyword" | "registry" | "kinds" | "sample";

/** The HAProxy that tests run. */
interface Installed {
  readonly version: Version;
  /** What it was built with and without, as it says: `+QUIC`, `-ZLIB`. */
  readonly features: ReadonlySet<string>;
}

let installed: Installed | undefined;

/** The HAProxy on the path. */
export function installedHaproxy(): Installed {
  if (installed !== undefined) return installed;
  const text = execFileSync("haproxy", ["-vv"], { encoding: "utf8" });
  const version = parseBranch(/version (\d+\.\d+)/.exec(text)?.[1] ?? "");
  if (version === undefined) throw new Error("haproxy -vv names no version");
  const features = /^Feature list : (.*)$/m.exec(text)?.[1] ?? "";
  installed = { version, features: new Set(features.split(" ")) };
  return installed;
}

/** Subjects that are missing and expected to be, in the HAProxy that is installed. */
function expectedGaps(kind: GapKind): string[] {
  const text = readFileSync(new URL("../conformance/expected-gaps.txt", import.meta.url), "utf8");
  const gaps: string[] = [];
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [of, subject, reason, where] = line.split("\t");
    if (subject === undefined || reason === undefined || reason === "")
      throw new Error(`expected-gaps.txt: "${line}" is not kind, subject, reason, where`);
    if (of === kind && (where === undefined || isHere(where))) gaps.push(subject);
  }
  return gaps;
}

function isHere(where: string): boolean {
  const { version, features } = installedHaproxy();
  const [, sign, branch] = /^(>=|<)(.*)$/.exec(where) ?? [];
  if (branch === undefined) return features.has(where);
  const limit = parseBranch(branch);
  if (limit === undefined) throw new Error(`expected-gaps.txt: "${branch}" is no version`);
  return reaches(version, limit) === (sign === ">=");
}

/**
 * Compares what is missing with what is expected to be: both must be the same, so that the file never outlives its reasons. A subject that
 * ends with `*` stands for all that begin so. What was not looked for, because the installed HAProxy does not have it, says nothing.
 */
export function compareGaps(
  kind: GapKind,
  missing: readonly string[],
  lookedFor: (subject: string) => boolean = () => true,
): { unexpected: string[]; outdated: string[] } {
  const expected = expectedGaps(kind);
  const covers = (gap: string, subject: string) =>
    gap.endsWith("*") ? subject.startsWith(gap.slice(0, -1)) : subject === gap;
  return {
    unexpected: missing.filter((subject) => !expected.some((gap) => covers(gap, subject))),
    outdated: expected.filter((gap) => lookedFor(gap) && !missing.some((subject) => covers(gap, subject))),
  };
}
