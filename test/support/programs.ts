import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

/** Where set-up puts programs that the machine does not have. */
export const tools = join(root, ".haplane", "tools");

/** Finds a program where set-up puts it or found it: below .haplane/tools, on PATH, or among the system's. */
export function findProgram(name: string): string | undefined {
  const directories = [
    join(tools, "bin"),
    join(tools, name, "usr", "bin"),
    ...(process.env.PATH ?? "").split(delimiter),
    ...["/usr/local/sbin", "/usr/sbin"],
  ];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

/** Whether this is a file that can be run. */
export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
