import { DomainError } from "./errors.ts";

/** Codes of the system for a disk that takes nothing. */
const CANNOT_WRITE = ["ENOSPC", "EDQUOT", "EROFS", "EIO", "EACCES", "EPERM", "EMFILE", "ENFILE"];

/** Runs what writes a file, or below a directory. A disk that is full or not writable becomes `STORE_UNAVAILABLE`. */
export async function writing<T>(path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException | undefined)?.code ?? "";
    if (!CANNOT_WRITE.includes(code)) throw error;
    throw new DomainError("STORE_UNAVAILABLE", `${path} cannot be written: ${code}`, { cause: error });
  }
}
