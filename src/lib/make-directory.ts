import { mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/**
 * Makes a directory and those above it that are missing, step by step: Node's own `recursive` tries for ever where a directory that is there takes no others, as `/proc`. Throws the system's error.
 *
 * @returns The uppermost directory that was made; undefined when nothing was missing.
 */
export function makeDirectory(path: string, mode: number): string | undefined {
  const wanted = resolve(path);
  const missing: string[] = [];
  for (let at = wanted; !isDirectory(at); at = dirname(at)) missing.unshift(at);
  return missing.filter((each) => makeOne(each, mode, each === wanted))[0];
}

/** Whether this call made it, and not another process meanwhile. What stands where one above the last would be is told by the next step, as the system does. */
function makeOne(path: string, mode: number, isLast: boolean): boolean {
  try {
    mkdirSync(path, mode);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && (!isLast || isDirectory(path))) return false;
    if (code !== "ENOENT" || !isDirectory(dirname(path))) throw error;
    const says = `no directory can be made in ${dirname(path)}`;
    throw Object.assign(new Error(says, { cause: error }), { code, path, syscall: "mkdir" });
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
