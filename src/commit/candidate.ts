import { randomBytes } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { resourceAt } from "../config/resource-at.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import { type LogMessage, sentenceOf } from "../haproxy/log-messages.ts";
import type { FileSystem } from "../lib/durable-file.ts";
import { type ConfigurationAlert, DomainError } from "../lib/errors.ts";
import { writing } from "../lib/writing.ts";
import type { Document } from "../text/document.ts";
import type { AttachedChange } from "./attached-files.ts";
import { stageTree } from "./staged-tree.ts";
import { writePrivate } from "./write-private.ts";

/** What a check needs. */
export interface CheckTools {
  readonly haproxy: Haproxy;
  readonly fs: FileSystem;
}

/**
 * Lets the running binary's `haproxy -c` read a document before it becomes the configuration, with the files that change along with it. The document's files lie beside the originals for that time, as dot-files, so
 * that relative paths mean the same; the others in a directory there, by which the words of the document then name them. Returns HAProxy's warnings; throws `CONFIGURATION_REFUSED` with HAProxy's alerts, traced
 * back to file, line and resource, and `STORE_UNAVAILABLE` when there is no room beside the files.
 */
export async function checkCandidate(
  { haproxy, fs }: CheckTools,
  document: Document,
  signal: AbortSignal,
  changes: readonly AttachedChange[] = [],
): Promise<ConfigurationAlert[]> {
  const beside = await candidatePaths(fs, document);
  const root = `${beside[0]}.d`;
  try {
    const tree =
      changes.length === 0 ? undefined : await writing(root, () => stageTree(fs, root, document, changes));
    const read = tree?.document ?? document;
    for (const [part, file] of beside.entries())
      await writing(document.parts[part]!.path, () => writePrivate(fs, file, read.print(part)));
    const { ok, timedOut, failure, messages } = await haproxy.check({ files: beside }, { signal });
    const original = tree === undefined ? messages : messages.map(tree.original);
    if (ok) return traced(original, "warning", document, beside);
    if (timedOut === true) {
      throw new DomainError("TIMED_OUT", `HAProxy's check did not come to an end: ${failure ?? ""}`, {
        retryAfterMs: 5_000,
      });
    }
    throw refused(traced(original, "alert", document, beside), failure);
  } finally {
    for (const file of beside) await fs.unlink(file).catch(() => {});
    if (changes.length > 0) await fs.rm(root, { recursive: true, force: true });
  }
}

/** Where the files of a document lie while they are checked: beside what is to be replaced, whatever symbolic links lead there, so that a crash leaves nothing that is not found. */
function candidatePaths(fs: FileSystem, document: Document): Promise<string[]> {
  const suffix = randomBytes(6).toString("hex");
  return Promise.all(
    document.parts.map(async ({ path }) => {
      const target = await fs.realpath(path).catch(() => path);
      return join(dirname(target), `.${basename(target)}.haplane-check-${suffix}`);
    }),
  );
}

/** HAProxy's messages of a level about a document whose parts it read from `files`, traced back to where they come from. */
export function traced(
  messages: readonly LogMessage[],
  wanted: LogMessage["level"],
  document: Document,
  files: readonly string[] = document.parts.map(({ path }) => path),
): ConfigurationAlert[] {
  // A message may name another place too ("already declared at").
  const told = (text: string) =>
    files.reduce((sum, file, part) => sum.replaceAll(file, document.parts[part]!.path), text);
  return messages
    .filter(({ level }) => level === wanted)
    .map(({ file, line, message: text }) => {
      const message = told(text);
      const part = files.indexOf(file);
      if (part < 0) return { file, line, message };
      const resource = resourceAt(document, { part, line });
      return { file: document.parts[part]!.path, line, message, ...(resource !== undefined && { resource }) };
    });
}

/** The error that says that HAProxy does not take a configuration. */
export function refused(alerts: readonly ConfigurationAlert[], otherwise?: string): DomainError {
  const first = alerts[0];
  const why = first === undefined ? (otherwise ?? "no reason was given") : sentenceOf(first);
  return new DomainError("CONFIGURATION_REFUSED", `HAProxy refuses the configuration: ${why}`, { alerts });
}
