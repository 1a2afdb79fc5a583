import { readdirSync, readFileSync } from "node:fs";

/**
 * The processes whose environment has a variable with this value: a program that is started with it hands it to all that it starts, however they detach
 * themselves. By their command lines; what has ended and was not waited for is none of them.
 */
export function processesWith(variable: string, value: string): ReadonlyMap<number, string> {
  const found = new Map<number, string>();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`${variable}=${value}`))
        continue;
      found.set(Number(pid), readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim());
    } catch {
      // It ended meanwhile, or belongs to somebody else.
    }
  }
  return found;
}
