import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The first executable file of this name in the directories of a PATH, then in further ones; undefined when there is none. */
export function findExecutable(
  name: string,
  path: string | undefined,
  further: readonly string[] = [],
): string | undefined {
  const directories = [...(path ?? "").split(delimiter).filter((directory) => directory !== ""), ...further];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
