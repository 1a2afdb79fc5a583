import { watch } from "node:fs";
import type { Logger } from "pino";
import type { Clock } from "../lib/clock.ts";

/** An editor writes in several steps; it is looked at this long after the last of them. */
const SETTLE_MS = 150;

/** What it is given. */
export interface SpoeWatchOptions {
  /** The directory of the files. */
  readonly path: string;
  readonly look: () => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Looks at the files whenever the directory says that something changed, so that edits by hand become versions without being asked for. Returns what ends it. */
export function watchSpoe({ path, look, clock, logger }: SpoeWatchOptions): () => void {
  let cancel = () => {};
  const lookSoon = () => {
    cancel();
    cancel = clock.after(SETTLE_MS, () => {
      look().catch((error: unknown) =>
        logger.warn({ err: error, path }, "SPOE files could not be looked at"),
      );
    });
  };
  const watcher = watch(path, lookSoon);
  watcher.on("error", (error) =>
    logger.warn(
      { err: error, path },
      "the directory cannot be watched; edits by hand are noticed when a file is used",
    ),
  );
  return () => {
    cancel();
    watcher.close();
  };
}
