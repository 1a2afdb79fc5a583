import { type FileReference, fileReferences } from "../config/file-references.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { FileSystem } from "../lib/durable-file.ts";
import { type ConfigurationAlert, DomainError } from "../lib/errors.ts";
import type { Document } from "../text/document.ts";
import { replaceLine } from "../text/edit.ts";
import { quoteWords } from "../text/quote.ts";
import { checkCandidate, refused } from "./candidate.ts";
import type { ChangeOutcome } from "./change.ts";

/** What it is done with. */
export interface PublishTools {
  readonly commit: { readonly document: Document; reload(): Promise<{ readonly reload: number }> };
  readonly haproxy: Haproxy;
  readonly fs: FileSystem;
}

/** A file beside the configuration that is to take the place of another, or of none. */
export interface PublishRequest {
  /** Absolute path, as the configuration names it. */
  readonly path: string;
  /** Where the new content lies meanwhile. */
  readonly staged: string;
  /** Makes every check and changes nothing. */
  readonly validateOnly: boolean;
  /** Name of the resource at a line of the new content, for HAProxy's messages about it. */
  resourceAt(line: number): string | undefined;
  /** Puts the new content in place, durably. It can be undone until it is kept. */
  install(): Promise<{ undo(): Promise<void>; keep(): Promise<void> }>;
}

/** How HAProxy came to a file. */
export type Published = Omit<ChangeOutcome, "revision" | "before" | "after" | "tookMs">;

/** The lines of the configuration that name a file. */
export function referrersOf(document: Document, path: string): FileReference[] {
  return fileReferences(document, [path]).filter((reference) => reference.path === path);
}

/**
 * Replaces a file that HAProxy reads when it starts. Where the configuration names it, HAProxy's check reads the configuration with the new content first, and HAProxy is reloaded; when it refuses
 * either, file and HAProxy are as before. Rejects with `CONFIGURATION_REFUSED` and what a reload rejects with.
 */
export async function publishFile(tools: PublishTools, request: PublishRequest): Promise<Published> {
  const { commit } = tools;
  const { document } = commit;
  const referrers = referrersOf(document, request.path);
  if (referrers.length === 0) {
    if (!request.validateOnly) await (await request.install()).keep();
    return { ...NOTHING, reasons: ["no line of the configuration names the file"] };
  }
  const warnings = await checkWith(tools, document, referrers, request);
  const reasons = [`${referrers[0]!.file}:${referrers[0]!.line} names the file`];
  if (request.validateOnly) return { ...NOTHING, via: "reload", reasons, warnings };
  const installed = await request.install();
  let reload: number;
  try {
    ({ reload } = await commit.reload());
  } catch (error) {
    await installed.undo();
    throw error;
  }
  await installed.keep();
  return { ...NOTHING, via: "reload", reasons, reload, warnings };
}

const NOTHING: Published = { via: "none", reasons: [], commands: [], reload: undefined, warnings: [] };

/** Lets HAProxy check the configuration with the staged content in the file's place. */
async function checkWith(
  tools: PublishTools,
  document: Document,
  referrers: readonly FileReference[],
  request: PublishRequest,
): Promise<ConfigurationAlert[]> {
  const traced = (alerts: readonly ConfigurationAlert[]) => alerts.map((alert) => back(alert, request));
  try {
    const candidate = referrers.reduce((on, referrer) => naming(on, referrer, request), document);
    return traced(await checkCandidate(tools, candidate, new AbortController().signal));
  } catch (error) {
    const isRefused = error instanceof DomainError && error.reason === "CONFIGURATION_REFUSED";
    throw isRefused ? refused(traced(error.alerts), error.message) : error;
  }
}

/** The document with a line that names the staged file instead. */
function naming(
  document: Document,
  { file, line }: FileReference,
  { path, staged }: PublishRequest,
): Document {
  const part = document.parts.findIndex((one) => one.path === file);
  const { section, index } = document.placeAt({ part, line })!;
  const words = section.lines.at(index)!.words.map(({ value }) => (value === path ? staged : value));
  const text = quoteWords(words);
  if (!text.ok) throw new Error(`${file}:${line} cannot be written again`);
  return replaceLine(document, section, index, text.text).document;
}

/** A message as it would be about the file itself. */
function back(alert: ConfigurationAlert, { path, staged, resourceAt }: PublishRequest): ConfigurationAlert {
  const message = alert.message.replaceAll(staged, path);
  if (alert.file !== staged) return { ...alert, message };
  const resource = resourceAt(alert.line);
  return { file: path, line: alert.line, message, ...(resource !== undefined && { resource }) };
}
