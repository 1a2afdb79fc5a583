import type { Logger } from "pino";
import { DomainError } from "../lib/errors.ts";
import type { Interrupted } from "../storage/managed-directory.ts";

/** What a former process has left. */
export interface InterruptedReplacements {
  readonly interrupted: readonly Interrupted[];
  /** Whether the configuration names a file. */
  isUsed(name: string): boolean;
  readonly commit: { reload(): Promise<unknown> };
  readonly logger: Pick<Logger, "info" | "error">;
}

/** Ends replacements of which a former process did not see the end: HAProxy is reloaded once with the new files, and where it refuses them, those that it uses are what they were before. */
export async function endInterrupted(left: InterruptedReplacements): Promise<void> {
  const { interrupted, isUsed, commit, logger } = left;
  const used = interrupted.filter(({ name }) => isUsed(name));
  const files = used.map(({ name }) => name);
  try {
    if (used.length > 0) await commit.reload();
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    logger.error({ err: error, files }, "HAProxy refuses files that were being replaced: they are put back");
    for (const one of interrupted) await (used.includes(one) ? one.undo() : one.keep());
    return;
  }
  for (const { keep } of interrupted) await keep();
  if (used.length > 0) logger.info({ files }, "interrupted replacements were completed");
}
