import type * as nodeFs from "node:fs/promises";
import { DomainError } from "../lib/errors.ts";

/** The operations that managed directories need; tests pass their own, to stop or fail between two of them. */
export type StorageFs = Pick<typeof nodeFs, "open" | "rename" | "link" | "unlink" | "lstat" | "readdir">;

/** Codes of the system for a disk that takes nothing. */
const CANNOT_WRITE = ["ENOSPC", "EDQUOT", "EROFS", "EIO", "EACCES", "EPERM", "EMFILE", "ENFILE"];

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
