import { resourceAt } from "../config/resource-at.ts";
import type { FileSystem } from "../lib/durable-file.ts";
import type { Document } from "../text/document.ts";
import { refused } from "./candidate.ts";

/**
 * Refuses what HAProxy's check accepts and a start does not: a `chroot` to what is no directory, of which a reload by HAProxy 2.6 and 3.0 kills worker and master. Throws `CONFIGURATION_REFUSED` with the line. A path
 * that depends on the environment or cannot be looked at is let through.
 */
export async function requireStartable(fs: FileSystem, document: Document): Promise<void> {
  for (const section of document.list("global"))
    for (const [index, line] of [...section.lines].entries()) {
      const [directive, path] = line.firstWords(2);
      if (directive?.value !== "chroot" || path === undefined || path.reference) continue;
      const isDirectory = await fs.stat(path.value).then(
        (found) => found.isDirectory(),
        (error: NodeJS.ErrnoException) => error.code !== "ENOENT" && error.code !== "ENOTDIR",
      );
      if (isDirectory) continue;
      const position = document.positionOf(section, index);
      const resource = resourceAt(document, position);
      const message = `chroot to ${path.value}, which is no directory: HAProxy would not start`;
      const file = document.parts[position.part]!.path;
      throw refused([{ file, line: position.line, message, ...(resource !== undefined && { resource }) }]);
    }
}
