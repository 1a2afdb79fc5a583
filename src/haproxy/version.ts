/** A version of HAProxy, such as `2.6.12-1+deb12u4` or `3.3-dev5-abc`. */
export interface HaproxyVersion {
  /** As HAProxy prints it. */
  readonly text: string;
  readonly major: number;
  readonly minor: number;
  /** 0 for a development version, which counts as its branch's first release. */
  readonly patch: number;
}

/** Reads a version out of HAProxy's own words; undefined when there is none at the start of the text. */
export function parseVersion(text: string): HaproxyVersion | undefined {
  const match = /^(\d+)\.(\d+)(?:\.(\d+))?\S*/.exec(text.trim());
  if (match === null) return undefined;
  return { text: match[0], major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3] ?? 0) };
}

/** True when `version` belongs to the branch `major.minor` or a later one. */
export function isAtLeast(version: HaproxyVersion, major: number, minor: number): boolean {
  return version.major > major || (version.major === major && version.minor >= minor);
}
