import type * as nodeFs from "node:fs/promises";
import { DomainError } from "../lib/errors.ts";

/** The operations that managed directories need; tests pass their own, to stop or fail between two of them. */
export type StorageFs = Pick<
  typeof nodeFs,
  "open" | "rename" | "link" | "unlink" | "lstat" | "readdir" | "mkdir"
>;

/** Codes of the system for a disk that takes nothing. */
const CANNOT_WRITE = ["ENOSPC", "EDQUOT", "EROFS", "EIO", "EACCES", "EPERM", "EMFILE", "ENFILE"];

/** Whether an error says that there is no such file. */
export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
}

/** What `operation` gives, undefined when it says that there is no such file. */
export async function ifThere<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Runs what writes below `directory`. A disk that is full or not writable becomes `STORE_UNAVAILABLE`. */
export async function writing<T>(directory: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException | undefined)?.code ?? "";
    if (!CANNOT_WRITE.includes(code)) throw error;
    throw new DomainError("STORE_UNAVAILABLE", `${directory} cannot be written: ${code}`, { cause: error });
  }
}

/** Makes the names in a directory durable. */
export async function syncDirectory(fs: Pick<StorageFs, "open">, path: string): Promise<void> {
  const directory = await fs.open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
