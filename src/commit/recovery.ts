import type { Logger } from "pino";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { Clock } from "../lib/clock.ts";
import { Content } from "../lib/content.ts";
import { type FileSystem, readIfThere } from "../lib/durable-file.ts";
import type { PendingIntent } from "../store/intent-table.ts";
import type { Operation } from "../store/operations.ts";
import type { Store } from "../store/store.ts";
import { Document } from "../text/document.ts";
import { type AttachedChange, isSame, putBack } from "./attached-files.ts";
import { canReload } from "./can-reload.ts";
import { serverChanges } from "./classify.ts";
import type { ConfigFiles, FilePart } from "./config-files.ts";
import type { Edit } from "./edit.ts";
import { type History, readRevision } from "./history.ts";
import { announcedContent, decodeIntent } from "./intent.ts";
import { reloadEvent } from "./reload-event.ts";
import { eventNow } from "./server-event.ts";

/** What recovery is given. */
export interface RecoveryOptions {
  readonly haproxy: Haproxy;
  readonly fs: FileSystem;
  readonly store: Store;
  readonly files: ConfigFiles;
  readonly history: History;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Ends what a crash left open: files that were replaced, by us or by hand, of which it is not known whether HAProxy took them. Only files that hold exactly what the intent announced are touched, and only while
 * nothing was recorded after it: anything else is somebody's later edit. HAProxy is reloaded once. What it takes becomes a revision; what it refuses is undone from the former content that the intent kept, unless
 * it was written by hand. Of several files that were to be replaced together, some of which are as before, the others are put back.
 */
export async function recover(options: RecoveryOptions): Promise<void> {
  const { store, files, history, logger } = options;
  let isUntold = false;
  for (const intent of await store.pendingIntents()) {
    const { onRefusal, along } = decodeIntent(intent.data);
    const { parts } = await files.peek();
    const found = isLatest(options, intent, parts) ? await foundFiles(options, intent) : [];
    const isWhole = parts.every(({ path }) => found.some((file) => file.path === path));
    // It is in the history, with others that came after it perhaps: what HAProxy was told of it is not known.
    isUntold ||= history.newest > intent.base && isRecorded(options, parts);
    const placed = found.filter(({ isNext, isFormer }) => isNext && !isFormer);
    if (isWhole && placed.length > 0 && found.every(({ isNext, isFormer }) => isNext || isFormer)) {
      const taken = found.every(({ isNext }) => isNext) ? await takes(options.haproxy) : "refused";
      isUntold = false;
      if (taken !== "refused") await record(options, parts, intent.base, along);
      else if (onRefusal === "put-back") {
        for (const file of placed.reverse()) await putBack(options.fs, file);
        logger.warn(
          { intent: intent.id },
          "a change that was under way when haplane ended was not completed or is refused by HAProxy; it was taken back",
        );
      }
    }
    await store.write([{ kind: "finish-intent", id: intent.id }]);
  }
  if (isUntold && (await takes(options.haproxy)) === "refused")
    logger.error("HAProxy refuses a recorded configuration, of which it is not known whether it was told");
  await endReloads(options);
}

/** A reload that was under way when haplane ended has no end of its own any more. */
async function endReloads({ store, clock }: RecoveryOptions): Promise<void> {
  const records = await store.reloads.list({ limit: 100 });
  const open = records.filter(({ state }) => state === "running");
  const output = "haplane ended while it was under way; what became of it was settled at the next start";
  if (open.length === 0) return;
  const lost = open.map((reload) => ({ ...reload, state: "lost" as const, output }));
  await store.write([
    ...lost.map((reload) => ({ kind: "put-reload" as const, reload })),
    {
      kind: "append-events",
      events: lost.map((reload) => eventNow(reloadEvent(reload), clock.now(), { author: "haplane" })),
    },
  ]);
}

function isLatest({ history }: RecoveryOptions, intent: PendingIntent, parts: readonly FilePart[]): boolean {
  return history.newest === intent.base || isRecorded({ history }, parts);
}

function isRecorded({ history }: Pick<RecoveryOptions, "history">, parts: readonly FilePart[]): boolean {
  return parts.every(({ path, content }) => history.isRecorded(path, content));
}

/** A file that an intent is about, as it is found. */
interface FoundFile extends AttachedChange {
  /** It holds what was announced. */
  readonly isNext: boolean;
  /** It holds what it held before. */
  readonly isFormer: boolean;
}

async function foundFiles({ fs, store }: RecoveryOptions, intent: PendingIntent): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  for (const file of decodeIntent(intent.data).next) {
    const { path, mode = 0o600, owner } = file;
    const bytes = await readIfThere(fs, path);
    const present = bytes && Content.of(bytes);
    const former = await formerContent(store, intent, path);
    const next = announcedContent(former, file);
    const attributed = (content: Content | undefined) => content && { content, mode, owner };
    found.push({
      ...{ path, former: attributed(former), next: attributed(present) },
      isNext: next !== "unknown" && isSame(present, next),
      isFormer: isSame(present, former),
    });
  }
  return found;
}

/** What a file held before the write that an intent announced: as the intent says, else as in the revision it is based on. Undefined when it did not exist. */
export async function formerContent(
  store: Store,
  intent: PendingIntent,
  path: string,
): Promise<Content | undefined> {
  const told = intent.former.get(path);
  if (intent.former.has(path)) return told && Content.of(told);
  return intent.base === 0 ? Content.EMPTY : Content.of(await readRevision(store, intent.base, path));
}

/** Whether HAProxy takes the files as they are. One that does not run is asked by its check, and one of ours is started, for a check does not see everything; where nobody can be asked, the files stay. */
async function takes(haproxy: Haproxy): Promise<"taken" | "refused" | "unknown"> {
  if (haproxy.state.kind !== "running") {
    const checked = await haproxy.check({}).catch(() => undefined);
    if (checked === undefined) return "unknown";
    if (!checked.ok) return "refused";
    if (!canReload(haproxy)) return "taken";
  }
  const { kind } = await haproxy.reload();
  if (kind === "succeeded") return "taken";
  return kind === "timed_out" ? "unknown" : "refused";
}

async function record(
  { files, history }: RecoveryOptions,
  parts: readonly FilePart[],
  base: number,
  along: readonly Operation[],
): Promise<void> {
  const before = Document.parse(files.believed);
  files.believe(parts);
  // Where files beside it changed alone, the configuration is as in the revision before too.
  if (history.newest > base && isRecorded({ history }, parts)) return;
  const { document } = await files.peek();
  const edit: Edit = {
    apply: () => document,
    resources: [],
    author: "haplane",
    message: "completes what was under way when haplane ended",
    servers: serverChanges(before, document),
  };
  await history.append({ parts, lane: "reload", edits: [edit], with: () => along });
}
