import { readFileSync } from "node:fs";
import { signalProcess } from "../lib/other-process.ts";

/**
 * True when the process is alive and was started with `word` on its command line. Ids are used again, and a dead process that nobody
 * has waited for stays in the table: neither passes. Where the system does not show command lines, any living process counts.
 */
export function isAlive(pid: number, word: string): boolean {
  return commandLine(pid)?.includes(word) ?? signalProcess(pid, 0);
}

/** The words that a process was started with, none for one that is not there; undefined where there is no /proc. */
export function commandLine(pid: number): string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
  } catch {
    return hasProc() ? [] : undefined;
  }
}

function hasProc(): boolean {
  try {
    return readFileSync("/proc/self/cmdline").length > 0;
  } catch {
    return false;
  }
}
