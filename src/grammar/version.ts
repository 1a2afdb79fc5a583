/** A branch of HAProxy. What `src/haproxy` reads from a binary fits as well. */
export interface Version {
  readonly major: number;
  readonly minor: number;
}

/** The branches of HAProxy that have something: from `since` on (undefined: always), before `until` (undefined: for ever). */
export interface Span {
  readonly since: Version | undefined;
  readonly until: Version | undefined;
}

/** Reads a branch such as "2.8" or "3.5-dev"; undefined when the text is none. */
export function parseBranch(text: string): Version | undefined {
  const match = /^(\d+)\.(\d+)(?:-dev)?$/.exec(text);
  return match === null ? undefined : { major: Number(match[1]), minor: Number(match[2]) };
}

/** Prints a branch, such as "2.8". */
export function printBranch({ major, minor }: Version): string {
  return `${major}.${minor}`;
}

/** True when `version` is of the branch or a later one. */
export function reaches(version: Version, branch: Version): boolean {
  return version.major > branch.major || (version.major === branch.major && version.minor >= branch.minor);
}

/** True when `version` has what the span describes. */
export function within(version: Version, span: Span): boolean {
  if (span.since !== undefined && !reaches(version, span.since)) return false;
  return span.until === undefined || !reaches(version, span.until);
}
