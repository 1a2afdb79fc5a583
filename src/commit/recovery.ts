import type { Logger } from "pino";
import type { Haproxy } from "../haproxy/haproxy.ts";
import { replaceFile } from "../lib/durable-file.ts";
import type { Store } from "../store/store.ts";
import type { ConfigFiles } from "./config-files.ts";

/** What recovery is given. */
export interface RecoveryOptions {
  readonly haproxy: Haproxy;
  readonly store: Store;
  readonly files: ConfigFiles;
  readonly logger: Logger;
}

/**
 * Ends what a crash left open: a group of the reload lane whose file was written, but of which it is not known whether HAProxy took it. It is reloaded once; what HAProxy refuses is undone from the
 * former content that the intent kept. Returns whether the files were put back, so that they have to be read again.
 */
export async function recover({ haproxy, store, files, logger }: RecoveryOptions): Promise<boolean> {
  let putBack = false;
  for (const intent of await store.pendingIntents()) {
    const candidates = files.believed.filter(({ path, bytes }) => {
      const former = intent.former.get(path);
      return former !== undefined && !bytes.equals(former);
    });
    if (candidates.length > 0 && !(await isTaken(haproxy))) {
      for (const { path, bytes } of candidates) {
        const outcome = await replaceFile(path, intent.former.get(path)!, { expected: bytes });
        putBack ||= outcome.kind === "replaced";
      }
      logger.warn(
        { intent: intent.id },
        "a change that was under way when haplane ended is refused by HAProxy; it was taken back",
      );
    }
    await store.write([{ kind: "finish-intent", id: intent.id }]);
  }
  return putBack;
}

async function isTaken(haproxy: Haproxy): Promise<boolean> {
  if (haproxy.state.kind !== "running") return false;
  return (await haproxy.reload()).kind === "succeeded";
}
