import type { Logger } from "pino";
import type { Haproxy } from "../haproxy/haproxy.ts";
import { type FileSystem, replaceFile } from "../lib/durable-file.ts";
import type { PendingIntent } from "../store/intent-table.ts";
import type { Store } from "../store/store.ts";
import type { PartInput } from "../text/document.ts";
import type { ConfigFiles } from "./config-files.ts";
import type { Edit } from "./edit.ts";
import type { History, OnRefusal } from "./history.ts";

/** What recovery is given. */
export interface RecoveryOptions {
  readonly haproxy: Haproxy;
  readonly fs: FileSystem;
  readonly store: Store;
  readonly files: ConfigFiles;
  readonly history: History;
  readonly logger: Logger;
}

/**
 * Ends what a crash left open: files that were replaced, by us or by hand, of which it is not known whether HAProxy took them. It is reloaded once. What it takes becomes a revision; what it
 * refuses is undone from the former content that the intent kept, unless it was written by hand. What then still differs from the newest revision is somebody's edit.
 */
export async function recover(options: RecoveryOptions): Promise<void> {
  const { store, logger } = options;
  for (const intent of await store.pendingIntents()) {
    const { parts } = await options.files.peek();
    const candidates = parts.filter(({ path, bytes }) => isReplaced(intent, path, bytes));
    if (candidates.length > 0) {
      if (await isTaken(options.haproxy)) await record(options, parts);
      else if ((Buffer.from(intent.data).toString() as OnRefusal) === "put-back") {
        await putBack(options.fs, intent, candidates);
        logger.warn(
          { intent: intent.id },
          "a change that was under way when haplane ended is refused by HAProxy; it was taken back",
        );
      }
    }
    await store.write([{ kind: "finish-intent", id: intent.id }]);
  }
}

function isReplaced(intent: PendingIntent, path: string, bytes: Buffer): boolean {
  const former = intent.former.get(path);
  return former !== undefined && !bytes.equals(former);
}

async function isTaken(haproxy: Haproxy): Promise<boolean> {
  return haproxy.state.kind === "running" && (await haproxy.reload()).kind === "succeeded";
}

async function record({ files, history }: RecoveryOptions, parts: readonly PartInput[]): Promise<void> {
  files.believe(parts);
  if (parts.every(({ path, bytes }) => history.isRecorded(path, bytes))) return;
  const { document } = await files.peek();
  const edit: Edit = {
    apply: () => document,
    resources: [],
    author: "haplane",
    message: "completes what was under way when haplane ended",
    events: [],
  };
  await history.append({ document, lane: "reload", edits: [edit] });
}

async function putBack(
  fs: FileSystem,
  intent: PendingIntent,
  candidates: readonly PartInput[],
): Promise<void> {
  for (const { path, bytes } of candidates) {
    await replaceFile(path, intent.former.get(path)!, { expected: bytes, fs });
  }
}
