import type { HaproxyVersion } from "./version.ts";

/** `show info`: the process as it sees itself. */
export interface ProcessInfo {
  readonly version: HaproxyVersion;
  readonly pid: number;
  readonly uptimeSeconds: number;
  /** True for a worker that only finishes its connections. */
  readonly stopping: boolean;
  /** Every line by its name (`CurrConns`, `Idle_pct`, `Build info` …); whole numbers as numbers, or bigint beyond 2^53. */
  readonly fields: Readonly<Record<string, string | number | bigint>>;
}
