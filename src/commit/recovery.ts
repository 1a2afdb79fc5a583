import type { Logger } from "pino";
import type { Haproxy } from "../haproxy/haproxy.ts";
import { type FileSystem, replaceFile } from "../lib/durable-file.ts";
import type { PendingIntent } from "../store/intent-table.ts";
import type { Store } from "../store/store.ts";
import type { PartInput } from "../text/document.ts";
import type { ConfigFiles } from "./config-files.ts";
import type { Edit } from "./edit.ts";
import { type History, type OnRefusal, readRevision } from "./history.ts";

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
    const former = await Promise.all(parts.map(({ path }) => formerContent(store, intent, path)));
    const isReplaced = parts.some(({ bytes }, index) => !bytes.equals(former[index]!));
    if (isReplaced) {
      if (await isTaken(options.haproxy)) await record(options, parts);
      else if ((Buffer.from(intent.data).toString() as OnRefusal) === "put-back") {
        await putBack(options.fs, parts, former);
        logger.warn(
          { intent: intent.id },
          "a change that was under way when haplane ended is refused by HAProxy; it was taken back",
        );
      }
    }
    await store.write([{ kind: "finish-intent", id: intent.id }]);
  }
}

/** What a file held before the write that an intent announced: as the intent says, else as in the revision it is based on. */
export async function formerContent(store: Store, intent: PendingIntent, path: string): Promise<Buffer> {
  const told = intent.former.get(path);
  if (told !== undefined) return Buffer.from(told);
  return intent.base === 0 ? Buffer.alloc(0) : readRevision(store, intent.base, path);
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
    servers: [],
  };
  await history.append({ parts, lane: "reload", edits: [edit] });
}

async function putBack(
  fs: FileSystem,
  parts: readonly PartInput[],
  former: readonly Buffer[],
): Promise<void> {
  for (const [index, { path, bytes }] of parts.entries()) {
    if (!bytes.equals(former[index]!)) await replaceFile(path, former[index]!, { expected: bytes, fs });
  }
}
