import { execFileSync } from "node:child_process";
import { availableParallelism, cpus } from "node:os";
import process from "node:process";
import { findProgram } from "../../test/support/programs.ts";

/** What a benchmark ran on; it stands in its results. */
export interface Machine {
  /** Number and model of the processors. */
  readonly cpus: string;
  readonly node: string;
  readonly haproxy: string;
  /** Absent where there is no Consul. */
  readonly consul?: string;
}

/** Asks the machine. */
export function describeMachine(): Machine {
  const consul = findProgram("consul");
  return {
    cpus: `${availableParallelism()} × ${cpus()[0]?.model ?? "unknown"}`,
    node: process.version,
    haproxy: version(findProgram("haproxy"), "-v"),
    ...(consul && { consul: version(consul, "version") }),
  };
}

/** The version that a program says in its first line. */
function version(program: string | undefined, flag: string): string {
  if (!program) return "none";
  const line = execFileSync(program, [flag], { encoding: "utf8" }).split("\n")[0] ?? "";
  return /\d+\.\d+\S*/.exec(line)?.[0] ?? line;
}
