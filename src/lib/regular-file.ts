import { type Stats, statSync } from "node:fs";
import { StartError } from "./start-error.ts";

/** Throws an error that follows "cannot be read: " for what is there and is no file: a FIFO would be waited for, and a device read for ever. Nothing there is told by whoever reads it. */
export function requireRegular(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  const kind = found === undefined ? "file" : kindOf(found);
  if (kind !== "file") throw new StartError(`it is a ${kind}, and must be a file`);
}

/** What kind of file something is, for a sentence. */
export function kindOf(found: Stats): string {
  if (found.isFile()) return "file";
  if (found.isDirectory()) return "directory";
  if (found.isFIFO()) return "FIFO";
  return found.isSocket() ? "socket" : "device";
}

/** The same, with the path in the sentence. A directory is left to whoever reads it, and may know more to say of it. */
export function requireReadable(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  try {
    requireRegular(path);
  } catch (cause) {
    throw new StartError(`${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
