import type { Logger } from "pino";
import type { Event } from "../../gen/haplane/v1/events_pb.js";
import type { ChangeOutcome } from "../commit/change.ts";
import type { Commit } from "../commit/commit.ts";
import { type Along, together } from "../commit/edit.ts";
import { createEtags } from "../config/etag.ts";
import type { FileReference } from "../config/file-references.ts";
import { linesNaming } from "../config/file-words.ts";
import type { WriteContext } from "../config/write-context.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { Clock } from "../lib/clock.ts";
import { alertsInFile } from "../spoe/alerts-in-file.ts";
import { fileName } from "../spoe/file-errors.ts";
import { type ReplaceSpoe, SpoeFiles } from "../spoe/spoe-files.ts";
import { ManagedDirectory } from "../storage/managed-directory.ts";
import { findOwner, type OwnerSettings } from "../storage/owner.ts";
import type { Store } from "../store/store.ts";
import { createFirstAnswers, type FirstAnswers } from "./first-answers.ts";
import { alongSpoe, presentSpoe, spoeHistory } from "./spoe-history.ts";
import { SpoeTransactions } from "./spoe-transactions.ts";
import { watchSpoe } from "./spoe-watch.ts";

/** The parts that SPOE files are served from. */
export interface SpoeParts {
  readonly commit: Commit;
  readonly haproxy: Haproxy;
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Absolute path of the directory of the files. */
  readonly path: string;
  readonly owner: OwnerSettings;
  /** Nothing may be written. */
  readonly readOnly: boolean;
}

/** What the service needs. */
export interface SpoeTools {
  readonly files: SpoeFiles<ChangeOutcome, Along>;
  readonly transactions: SpoeTransactions;
  readonly answers: FirstAnswers;
  readonly context: () => WriteContext;
  readonly versions: Store["fileVersions"];
  /** What a watch begins with. */
  present(): Promise<readonly Event[]>;
  /** Lets go of the directory and of the clock. */
  stop(): Promise<void>;
  /** The lines of the configuration that use files, by the paths of those. */
  readonly referrers: (paths: readonly string[]) => ReadonlyMap<string, readonly FileReference[]>;
}

/** Opens the directory, and reads the transactions that a former process left open. HAProxy has been started. */
export async function openSpoe(parts: SpoeParts): Promise<SpoeTools> {
  const { commit, haproxy, store, clock, logger, path, owner, readOnly } = parts;
  const directory = await ManagedDirectory.open({
    ...{ path, setting: "--spoe-dir", readOnly, nameOf: fileName },
    owner: await findOwner(owner),
  });
  const etags = createEtags(store.etagKey);
  const context = (): WriteContext => ({ etags, version: haproxy.capabilities?.version, etagsCount: true });
  const referrers = (paths: readonly string[]) => linesNaming(commit.document, paths);
  const files = new SpoeFiles<ChangeOutcome, Along>({
    directory,
    history: spoeHistory({ store, clock }),
    replace: replaceIn(directory, parts),
    inUse: (file) =>
      referrers([file])
        .get(file)!
        .map(({ file: at, line, resource }) => ({ place: `${at}:${line}`, resource })),
    readOnly,
  });
  await files.look();
  const stopWatching = readOnly ? () => {} : watchSpoe({ path, look: () => files.look(), clock, logger });
  const transactions = new SpoeTransactions({ files, context, store, clock, logger });
  await transactions.start();
  return {
    ...{ files, transactions, context, referrers, versions: store.fileVersions },
    answers: createFirstAnswers({ store, clock, logger }),
    present: () => presentSpoe(files, store),
    async stop() {
      stopWatching();
      await transactions.stop();
    },
  };
}

/** Replaces files of the directory by the commit: as a whole with the reload that they need, recorded with its revision, or not at all. */
function replaceIn(
  directory: ManagedDirectory,
  { commit, clock }: Pick<SpoeParts, "commit" | "clock">,
): ReplaceSpoe<ChangeOutcome, Along> {
  const { mode, uid, gid } = directory.attributes;
  const owner = uid === undefined && gid === undefined ? undefined : { uid: uid ?? -1, gid: gid ?? -1 };
  return async (name, wanted, { validateOnly, guard, along }) => {
    const { after, content, author, message, resources } = wanted;
    const path = directory.pathOf(name);
    try {
      return await commit.replaceFiles({
        files: [{ path, content, mode, guard, ...(owner && { owner }) }],
        ...{ author, message, validateOnly, along: together(alongSpoe(clock, name, wanted), along) },
        resources: resources.length === 0 ? [fileName(name)] : resources,
      });
    } catch (error) {
      throw after === undefined ? error : alertsInFile(error, path, after);
    }
  };
}
