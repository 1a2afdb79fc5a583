import { Content } from "../lib/content.ts";
import { isSame } from "./attached-files.ts";
import { decodeIntent } from "./intent.ts";
import { clearLeftovers } from "./leftovers.ts";
import { formerContent, type RecoveryOptions, recover } from "./recovery.ts";
import { standBack } from "./stand-in.ts";

/** Ends what a crash left open: what lies beside the files, but for `kept`, and changes that were announced of which no end is recorded. */
export async function endLeftOpen(options: RecoveryOptions, kept: readonly string[]): Promise<void> {
  const { haproxy, fs, store, files, history, logger } = options;
  const intents = await store.pendingIntents();
  const isKnown = async (path: string, bytes: Buffer) => {
    const content = Content.of(bytes);
    if (history.isRecorded(path, content)) return true;
    const former = await Promise.all(intents.map((intent) => formerContent(store, intent, path)));
    return former.some((known) => isSame(known, content));
  };
  const attached = intents.flatMap(({ data }) => decodeIntent(data).next.map(({ path }) => path));
  const paths = [...new Set([...files.paths, ...attached])];
  // What a reload that recovery makes reads has to be the files.
  await standBack({ haproxy, fs, files, logger });
  await clearLeftovers(fs, paths, isKnown, logger, [...kept, ...(haproxy.standIns?.paths ?? [])]);
  await recover(options);
}
