import { basename, dirname, join } from "node:path";
import { fileWords, withPaths } from "../config/file-words.ts";
import type { LogMessage } from "../haproxy/log-messages.ts";
import type { FileSystem } from "../lib/durable-file.ts";
import type { Document } from "../text/document.ts";
import type { AttachedChange } from "./attached-files.ts";
import { writePrivate } from "./write-private.ts";

/** Files as they are to be, in directories of their own, for HAProxy's check. */
export interface StagedTree {
  /** The document, naming the staged files instead of their originals. */
  readonly document: Document;
  /** A message of HAProxy, naming the originals again. */
  original(message: LogMessage): LogMessage;
}

/**
 * Lays out in `root` what directories will hold: the new content of the changed files, and links to what HAProxy may read beside them: all else where the configuration names the directory itself, else what a
 * file's own name begins (`site.pem.key`, `site.issuer`).
 */
export async function stageTree(
  fs: FileSystem,
  root: string,
  document: Document,
  changes: readonly AttachedChange[],
): Promise<StagedTree> {
  const paths = new Map<string, string>();
  const byDirectory = Map.groupBy(changes, ({ path }) => dirname(path));
  const named = new Set(fileWords(document, [...byDirectory.keys()]).map(({ path }) => path));
  await fs.mkdir(root, { mode: 0o700 });
  for (const [index, [directory, changed]] of [...byDirectory].entries()) {
    const staged = join(root, String(index));
    await fs.mkdir(staged, { mode: 0o700 });
    const own = new Set(changed.map(({ path }) => basename(path)));
    const stems = [...own].map((name) => `${name.replace(/\.[^.]*$/, "")}.`);
    for (const name of await fs.readdir(directory))
      if (!own.has(name) && (named.has(directory) || stems.some((stem) => name.startsWith(stem))))
        await fs.symlink(join(directory, name), join(staged, name));
    for (const { path, next } of changed) {
      const file = join(staged, basename(path));
      if (next !== undefined) await writePrivate(fs, file, next.content.bytes);
      paths.set(path, file);
    }
    paths.set(directory, staged);
  }
  // A file's path begins with its directory's, so the longer ones are looked for first.
  const originals = [...paths].sort(([, a], [, b]) => b.length - a.length);
  const originally = (text: string) =>
    originals.reduce((on, [path, staged]) => on.replaceAll(staged, () => path), text);
  return {
    document: withPaths(document, paths),
    original: (message) => ({
      ...message,
      file: originally(message.file),
      message: originally(message.message),
    }),
  };
}
