import * as nodeFs from "node:fs/promises";
import type { Logger } from "pino";
import type { Commit } from "../commit/commit.ts";
import { publishFile, referrersOf } from "../commit/publish-file.ts";
import { createEtags } from "../config/etag.ts";
import type { FileReference } from "../config/file-references.ts";
import type { WriteContext } from "../config/write-context.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { Clock } from "../lib/clock.ts";
import { spoeResourceAt } from "../spoe/read-spoe.ts";
import { type PublishSpoe, SpoeFiles } from "../spoe/spoe-files.ts";
import { writing } from "../storage/file-system.ts";
import { type FileFacts, ManagedDirectory } from "../storage/managed-directory.ts";
import { findOwner, type OwnerSettings } from "../storage/owner.ts";
import type { Store } from "../store/store.ts";
import { endInterrupted } from "./end-interrupted.ts";
import { createFirstAnswers, type FirstAnswers } from "./first-answers.ts";
import { type SpoeApplied, SpoeTransactions } from "./spoe-transactions.ts";

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
  readonly files: SpoeFiles<SpoeApplied>;
  readonly transactions: SpoeTransactions;
  readonly answers: FirstAnswers;
  readonly context: () => WriteContext;
  /** The lines of the configuration that use a file, by its path. */
  readonly referrers: (path: string) => readonly FileReference[];
}

/** Opens the directory, sees to what a former process did not end, and reads the transactions that it left open. HAProxy has been started. */
export async function openSpoe(parts: SpoeParts): Promise<SpoeTools> {
  const { commit, haproxy, store, clock, logger, path, owner, readOnly } = parts;
  const directory = await ManagedDirectory.open({
    ...{ path, setting: "--spoe-dir", readOnly },
    owner: await findOwner(owner),
  });
  const etags = createEtags(store.etagKey);
  const context = (): WriteContext => ({ etags, version: haproxy.capabilities?.version, etagsCount: true });
  const referrers = (file: string) => referrersOf(commit.document, file);
  if (!readOnly)
    await endInterrupted({
      ...{ commit, logger, interrupted: await directory.interrupted() },
      isUsed: (name) => referrers(directory.pathOf(name)).length > 0,
    });
  const files = new SpoeFiles<SpoeApplied>({
    directory,
    memory: {
      get: (name) => store.meta(name),
      put: (name, value) => store.write([{ kind: "put-meta", name, value }]),
      delete: (name) => store.write([{ kind: "delete-meta", name }]),
    },
    publish: publishInto(directory, parts),
    inUse: (file) =>
      referrers(file).map(({ file: at, line, resource }) => ({ place: `${at}:${line}`, resource })),
    readOnly,
  });
  const transactions = new SpoeTransactions({ files, context, store, clock, logger });
  await transactions.start();
  return {
    ...{ files, transactions, context, referrers },
    answers: createFirstAnswers({ store, clock, logger }),
  };
}

/** Publishes through the directory: staged beside the file, put in its place in one step, undone when HAProxy refuses. */
function publishInto(directory: ManagedDirectory, parts: SpoeParts): PublishSpoe<SpoeApplied> {
  const { commit, haproxy, clock } = parts;
  return ({ file, bytes, former, validateOnly }) =>
    directory.exclusively(file.name, async () => {
      const started = clock.now();
      const staged = await directory.stage();
      try {
        const content = await writing(directory.path, async () => {
          await staged.write(bytes);
          return staged.seal(directory.attributes);
        });
        const current = await directory.check(
          file.name,
          former === undefined ? { absent: true } : { etag: former.etag },
        );
        let facts: FileFacts | undefined;
        const published = await publishFile(
          { commit, haproxy, fs: nodeFs },
          {
            ...{ path: directory.pathOf(file.name), staged: staged.path, validateOnly },
            resourceAt: (line) => spoeResourceAt(file, line),
            async install() {
              const installed = await directory.install(file.name, staged, content, current);
              facts = installed.facts;
              return installed;
            },
          },
        );
        return { applied: { ...published, tookMs: clock.now() - started }, facts };
      } finally {
        await staged.discard();
      }
    });
}
