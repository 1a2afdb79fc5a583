import { basename, dirname, join } from "node:path";
import type { Logger } from "pino";
import { type FileSystem, FORMER, readIfThere } from "../lib/durable-file.ts";

/** Everything of ours that lies beside a configuration file begins with this behind the file's own name. */
const OURS = ".haplane-";

/**
 * Clears away what a crash left beside files. The link to the content before our last write is looked at first: what is not among `known` was somebody's edit that landed in
 * the middle of that write, and is put back in place. Paths in `kept` are left alone.
 */
export async function clearLeftovers(
  fs: FileSystem,
  paths: readonly string[],
  isKnown: (path: string, content: Buffer) => Promise<boolean>,
  logger: Logger,
  kept: readonly string[] = [],
): Promise<void> {
  for (const path of paths) {
    const target = await fs.realpath(path).catch(() => path);
    const prefix = `.${basename(target)}${OURS}`;
    const names = await fs.readdir(dirname(target)).catch(() => []);
    for (const name of names.filter((candidate) => candidate.startsWith(prefix))) {
      const leftover = join(dirname(target), name);
      if (kept.includes(leftover)) continue;
      const content = name.startsWith(`${prefix}${FORMER}`) ? await readIfThere(fs, leftover) : undefined;
      if (content !== undefined && !(await isKnown(path, content))) {
        logger.warn(
          { path },
          "an edit by hand had been overtaken by a write when haplane ended; it is put back",
        );
        await fs.rename(leftover, target);
      } else {
        await fs.rm(leftover, { recursive: true });
      }
    }
  }
}
