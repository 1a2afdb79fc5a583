import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DomainError } from "../lib/errors.ts";
import { holdFile, touchPrivate } from "../lib/hold-file.ts";
import { makeDirectory } from "../lib/make-directory.ts";

/** A state directory that this process alone uses. */
export interface StateDirectory {
  /** Path of the state database; the file is there, if only as an empty one, and readable by its owner alone. */
  readonly database: string;
  /** Lets another haplane have the directory. The kernel does the same when the process dies. */
  release(): void;
}

/** Creates a state directory where there is none, for its owner alone. Throws `STORE_UNAVAILABLE` when it cannot be created, or something else has its name. */
export function makeStateDirectory(directory: string): void {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() === false)
    throw unusable(directory, `${directory} is a file, and must be a directory`);
  usable(directory, () => makeDirectory(directory, 0o700));
}

/**
 * Creates a state directory where there is none (mode 0700) and takes it for this process. Throws `STATE_LOCKED` when another haplane has it, and
 * `STORE_UNAVAILABLE` when it cannot be created or written.
 */
export function takeStateDirectory(directory: string, pid: number): StateDirectory {
  const database = join(directory, "haplane.db");
  const lock = join(directory, "haplane.lock");
  const pidFile = join(directory, "haplane.pid");
  makeStateDirectory(directory);
  for (const path of [database, `${database}-wal`, `${database}-shm`, lock, pidFile])
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory())
      throw unusable(directory, `${path} is a directory, and must be a file; move it away`);
  const held = usable(directory, () => holdFile(lock));
  if (held === undefined) throw locked(directory, pidFile);
  try {
    usable(directory, () => {
      writeFileSync(pidFile, `${pid}\n`, { mode: 0o600 });
      touchPrivate(database);
    });
  } catch (error) {
    held.release();
    throw error;
  }
  const release = () => {
    // While the lock is still held: after it, the file may be the next one's.
    rmSync(pidFile, { force: true });
    held.release();
  };
  return { database, release };
}

function usable<T>(directory: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw unusable(directory, (error as Error).message, error);
  }
}

function unusable(directory: string, why: string, cause?: unknown): DomainError {
  return new DomainError("STORE_UNAVAILABLE", `The state directory ${directory} cannot be used: ${why}.`, {
    metadata: { directory },
    cause,
  });
}

function locked(directory: string, pidFile: string): DomainError {
  const pid = readPid(pidFile);
  const who = pid === undefined ? "Another haplane" : `Another haplane (process ${pid})`;
  return new DomainError("STATE_LOCKED", `${who} is using the state directory ${directory}.`, {
    metadata: { directory, ...(pid === undefined ? {} : { pid }) },
  });
}

function readPid(path: string): string | undefined {
  try {
    return /^[1-9][0-9]*(?=\n)/.exec(readFileSync(path, "latin1"))?.[0];
  } catch {
    // It is being created, or somebody removed it; the lock is what counts.
    return undefined;
  }
}
