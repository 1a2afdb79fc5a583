import { parentPort, workerData } from "node:worker_threads";
import type { LogPosition } from "./event-log.ts";
import { eventBytes, newestPosition, oldestSeq, pruneEvents } from "./event-table.ts";
import { pruneFileVersions } from "./file-version-table.ts";
import { type Prepared, prepareDatabase } from "./prepare-database.ts";
import { newestReload, pruneReloads } from "./reload-table.ts";
import type { Retention } from "./retention.ts";
import { addSnapshot, pruneRevisions } from "./revision-retention.ts";
import { newestRevision } from "./revision-table.ts";
import { serve } from "./thread.ts";
import { type GroupResult, type WireOperation, writeGroup } from "./write-batch.ts";

/** What the writing thread is started with. */
export interface WritingThreadData {
  readonly path: string;
  readonly now: number;
}

/** What the database holds at the start. */
export interface Opened {
  readonly epoch: Uint8Array;
  readonly etagKey: Uint8Array;
  readonly newest: LogPosition;
  readonly oldest: number;
  readonly newestRevision: number;
  readonly newestReload: number;
  readonly setAside: Prepared["setAside"];
  readonly upgrade: Prepared["upgrade"];
}

/** What one step of maintenance did. */
export interface Maintained {
  /** Number of the oldest event that is kept. */
  readonly oldest: number;
  /** Another step would find something to do. */
  readonly more: boolean;
}

/** The only connection that writes. It is opened by the first call, so that what goes wrong is that call's error. */
function createCalls({ path, now }: WritingThreadData) {
  const { database, setAside, upgrade } = prepareDatabase(path, now);
  let newest = newestPosition(database);
  // Bytes of the events in the log; counted at the first maintenance, kept up to date after that.
  let logBytes: number | undefined;

  return {
    opened(): Opened {
      const installation = database.get<{ epoch: Uint8Array; etag_key: Uint8Array }>(
        "SELECT epoch, etag_key FROM installation",
      );
      if (installation === undefined) throw new Error("the database has no installation");
      return {
        epoch: installation.epoch,
        etagKey: installation.etag_key,
        newest,
        oldest: oldestSeq(database),
        newestRevision: newestRevision(database),
        newestReload: newestReload(database),
        setAside,
        upgrade,
      };
    },

    write(batches: readonly (readonly WireOperation[])[]): GroupResult {
      const result = writeGroup(database, newest, batches);
      newest = result.newest;
      if (logBytes !== undefined) logBytes += bytesAppended(batches, result);
      return result;
    },

    maintain(at: number, retention: Retention): Maintained {
      logBytes ??= eventBytes(database);
      const pruned = pruneEvents(database, at - retention.eventAgeMs, logBytes - retention.eventBytes);
      logBytes -= pruned.bytes;
      pruneReloads(database, retention.reloads);
      pruneFileVersions(database, at, retention);
      const more = [pruned.more, pruneRevisions(database, at, retention), addSnapshot(database)];
      return { oldest: oldestSeq(database), more: more.includes(true) };
    },

    close(): void {
      database.close();
    },
  };
}

function bytesAppended(batches: readonly (readonly WireOperation[])[], result: GroupResult): number {
  return batches.reduce((sum, batch, i) => {
    if (result.batches[i]?.kind !== "done") return sum;
    return batch.reduce(
      (bytes, operation) =>
        operation.kind === "append-events" ? bytes + operation.events.bytes.length : bytes,
      sum,
    );
  }, 0);
}

/** What the writing thread answers. */
export type WritingCalls = ReturnType<typeof createCalls>;

if (parentPort !== null) {
  let calls: WritingCalls | undefined;
  const opened = () => {
    calls ??= createCalls(workerData as WritingThreadData);
    return calls;
  };
  serve(parentPort, {
    opened: () => opened().opened(),
    write: (...args: Parameters<WritingCalls["write"]>) => opened().write(...args),
    maintain: (...args: Parameters<WritingCalls["maintain"]>) => opened().maintain(...args),
    close: () => calls?.close(),
  } satisfies WritingCalls);
}
