import { readScalar, type Scalar } from "./scalar.ts";
import { type HaproxyVersion, parseVersion } from "./version.ts";

/** `show info`: the process as it sees itself. */
export interface ProcessInfo {
  readonly version: HaproxyVersion;
  readonly pid: number;
  readonly uptimeSeconds: number;
  /** True for a worker that only finishes its connections. */
  readonly stopping: boolean;
  /** Every line by its name (`CurrConns`, `Idle_pct`, `Build info` …); whole numbers as numbers, or bigint beyond 2^53. */
  readonly fields: Readonly<Record<string, Scalar>>;
}

/** Lines whose value is text even where it looks like a number. */
const TEXT = new Set([
  "Name",
  "Version",
  "node",
  "description",
  "Release_date",
  "Uptime",
  "Build info",
  "Tainted",
]);

/** Reads the answer to `show info` (management guide, section 9.3). Undefined when it is not one. */
export function parseInfo(answer: string): ProcessInfo | undefined {
  const fields: Record<string, Scalar> = Object.create(null);
  for (const line of answer.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon === -1) continue;
    const name = line.slice(0, colon);
    const value = line.slice(colon + 2);
    fields[name] = TEXT.has(name) ? value : readScalar(value);
  }
  const version = parseVersion(String(fields.Version ?? ""));
  const pid = fields.Pid;
  if (version === undefined || typeof pid !== "number") return undefined;
  return {
    version,
    pid,
    uptimeSeconds: Number(fields.Uptime_sec ?? 0),
    stopping: fields.Stopping !== undefined && fields.Stopping !== 0,
    fields,
  };
}
