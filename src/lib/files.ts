import { constants } from "node:fs";
import type * as nodeFs from "node:fs/promises";

/** What `operation` gives, undefined when it says that there is no such file. */
export async function ifThere<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (error) {
    if ((error as NodeJS.ErrnoException | undefined)?.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Whether an error says that what was to be read or written as a file is a directory. */
export function saysDirectory(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === "EISDIR";
}

/** Why a file cannot be read, for a person; to follow "cannot be read: ". */
export function whyUnreadable(error: unknown): string {
  if (saysDirectory(error)) return "it is a directory, and must be a file";
  return error instanceof Error ? error.message : String(error);
}

/** Makes the names in a directory durable. */
export async function syncDirectory(fs: Pick<typeof nodeFs, "open">, path: string): Promise<void> {
  const directory = await fs.open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
