/** A session of the worker (management guide, section 9.3, `show sess`). */
export interface Session {
  readonly id: string;
  readonly protocol: string;
  readonly source: string;
  readonly frontend: string;
  /** Empty when there is none yet. */
  readonly backend: string;
  readonly server: string;
  readonly ageSeconds: number;
  readonly calls: number;
  readonly rate: number;
  /** All that HAProxy prints of it. */
  readonly text: string;
}

/** What HAProxy prints for nothing. */
const NOBODY = /^<none>$/i;

/** Reads the answer to `show sess`: a line for each session. */
export function parseSessions(answer: string): Session[] {
  return answer.split("\n").flatMap((line) => parseSession(line, PLAIN) ?? []);
}

/** Reads the answer to `show sess ID`; undefined when it is none. */
export function parseSessionDetails(answer: string): Session | undefined {
  return parseSession(answer, DETAILED);
}

interface Keys {
  readonly source: string;
  readonly frontend: string;
  readonly backend: string;
  readonly server: string;
}

const PLAIN: Keys = { source: "src", frontend: "fe", backend: "be", server: "srv" };
const DETAILED: Keys = { source: "source", frontend: "frontend", backend: "backend", server: "server" };

function parseSession(text: string, keys: Keys): Session | undefined {
  const id = /^(0x[0-9a-f]+): /.exec(text)?.[1];
  if (id === undefined) return undefined;
  const value = (key: string) => {
    const found = new RegExp(`(?:^|[\\s(])${key}=([^\\s)]*)`).exec(text)?.[1] ?? "";
    return NOBODY.test(found) ? "" : found;
  };
  return {
    id,
    protocol: value("proto"),
    source: value(keys.source),
    frontend: value(keys.frontend),
    backend: value(keys.backend),
    server: value(keys.server),
    ageSeconds: secondsOf(value("age")),
    calls: Number(value("calls")) || 0,
    rate: Number(value("rate")) || 0,
    text,
  };
}

const UNITS: Readonly<Record<string, number>> = { d: 86_400, h: 3_600, m: 60, s: 1 };

/** Reads a time as HAProxy writes it for people: `1m5s`, `2h3m`, `1d2h`. */
function secondsOf(text: string): number {
  let seconds = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)([dhms])/g))
    seconds += Number(count) * (UNITS[unit as string] ?? 0);
  return seconds;
}
