import { closeSync, existsSync, fchmodSync, openSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

const SQLITE_BUSY = 5;

/** A file that this process holds. */
export interface HeldFile {
  /** Lets others have it. The kernel does the same when the process dies. Who wants the file gone removes it before. */
  release(): void;
}

/**
 * Takes a file of no content for this process alone; undefined while another process, or another part of this one, holds it. It is made where there is none. Throws the system's error, or SQLite's.
 *
 * Node has no flock, so the lock is SQLite's own: an exclusive transaction held open.
 */
export function holdFile(path: string): HeldFile | undefined {
  for (;;) {
    // POSIX locks go when the process closes *any* descriptor of the file, so one that may be held by this process is not opened again.
    if (!existsSync(path)) touchPrivate(path);
    const found = inodeOf(path);
    const holder = new DatabaseSync(path, { timeout: 0 });
    try {
      holder.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    } catch (error) {
      holder.close();
      if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined;
      throw error;
    }
    // Whoever had it may have removed it meanwhile, and somebody else have another file of that name.
    if (found !== undefined && inodeOf(path) === found) return { release: () => holder.close() };
    holder.close();
  }
}

/** Creates a file for its owner alone, or makes one so. */
export function touchPrivate(path: string): void {
  const file = openSync(path, "a", 0o600);
  try {
    fchmodSync(file, 0o600);
  } finally {
    closeSync(file);
  }
}

function inodeOf(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}
