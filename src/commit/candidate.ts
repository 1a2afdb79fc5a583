import { randomBytes } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { resourceAt } from "../config/resource-at.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { LogMessage } from "../haproxy/log-messages.ts";
import type { FileSystem } from "../lib/durable-file.ts";
import { type ConfigurationAlert, DomainError } from "../lib/errors.ts";
import type { Document } from "../text/document.ts";

/** What a check needs. */
export interface CheckTools {
  readonly haproxy: Haproxy;
  readonly fs: FileSystem;
}

/**
 * Lets the running binary's `haproxy -c` read a document before it becomes the configuration. Its files lie beside the originals for that time, as dot-files, so that
 * relative paths mean the same. Returns HAProxy's warnings; throws `CONFIGURATION_REFUSED` with HAProxy's alerts, traced back to file, line and resource.
 */
export async function checkCandidate(
  { haproxy, fs }: CheckTools,
  document: Document,
  signal: AbortSignal,
): Promise<ConfigurationAlert[]> {
  const suffix = randomBytes(6).toString("hex");
  const files = document.parts.map(({ path }) =>
    join(dirname(path), `.${basename(path)}.haplane-check-${suffix}`),
  );
  try {
    for (const [part, file] of files.entries()) await writePrivate(fs, file, document.print(part));
    const outcome = await haproxy.check({ files }, { signal });
    if (outcome.ok) return traced(outcome.messages, "warning", document, files);
    if (outcome.timedOut === true) {
      throw new DomainError("TIMED_OUT", `HAProxy's check did not come to an end: ${outcome.failure ?? ""}`, {
        retryAfterMs: 5_000,
      });
    }
    throw refused(traced(outcome.messages, "alert", document, files), outcome.failure);
  } finally {
    for (const file of files) await fs.unlink(file).catch(() => {});
  }
}

/** HAProxy's messages of a level about a document whose parts it read from `files`, traced back to where they come from. */
export function traced(
  messages: readonly LogMessage[],
  wanted: LogMessage["level"],
  document: Document,
  files: readonly string[] = document.parts.map(({ path }) => path),
): ConfigurationAlert[] {
  return messages
    .filter(({ level }) => level === wanted)
    .map(({ file, line, message }) => {
      const part = files.indexOf(file);
      if (part < 0) return { file, line, message };
      const resource = resourceAt(document, { part, line });
      return { file: document.parts[part]!.path, line, message, ...(resource !== undefined && { resource }) };
    });
}

/** The error that says that HAProxy does not take a configuration. */
export function refused(alerts: readonly ConfigurationAlert[], otherwise?: string): DomainError {
  const first = alerts[0];
  const where = first === undefined || first.file === "" ? "" : `${first.file}:${first.line}: `;
  const why = first === undefined ? (otherwise ?? "no reason was given") : `${where}${first.message}`;
  return new DomainError("CONFIGURATION_REFUSED", `HAProxy refuses the configuration: ${why}`, { alerts });
}

async function writePrivate(fs: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const file = await fs.open(path, "wx", 0o600);
  try {
    await file.writeFile(bytes);
  } finally {
    await file.close();
  }
}
