import { rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Logger } from "pino";
import type { FileSystem } from "../lib/durable-file.ts";
import { DomainError } from "../lib/errors.ts";
import { type HeldFile, holdFile } from "../lib/hold-file.ts";

/** Files that no other haplane writes meanwhile. */
export interface HeldFiles {
  /** The files that say so, beside them. */
  readonly lockPaths: readonly string[];
  /** Lets others have them. */
  release(): void;
}

/**
 * Takes the configuration's files for this haplane. Two that write the same file would take each other's writes for edits by hand, and lose one of those that meet between the last comparison and the rename. Throws
 * `STATE_LOCKED` while another has one of them. Where a file system knows no locks this is said in the log, and nothing is held.
 */
export async function holdFiles(
  fs: Pick<FileSystem, "realpath">,
  paths: readonly string[],
  logger: Logger,
): Promise<HeldFiles> {
  const held = new Map<string, HeldFile>();
  const release = () => {
    for (const [lock, file] of held) {
      rmSync(lock, { force: true });
      file.release();
    }
    held.clear();
  };
  for (const path of paths) {
    const target = await fs.realpath(path);
    const lock = join(dirname(target), `.${basename(target)}.haplane-lock`);
    if (held.has(lock)) continue;
    try {
      const file = holdFile(lock);
      if (file === undefined) throw taken(path, lock);
      held.set(lock, file);
    } catch (error) {
      if (error instanceof DomainError) {
        release();
        throw error;
      }
      logger.warn(
        { err: error, lock },
        "it cannot be made sure that no other haplane writes the configuration",
      );
    }
  }
  return { lockPaths: [...held.keys()], release };
}

function taken(path: string, lock: string): DomainError {
  return new DomainError(
    "STATE_LOCKED",
    `Another haplane writes the configuration ${path} (it holds ${lock}); end it, or only look with --read-only.`,
    { metadata: { path, lock } },
  );
}
