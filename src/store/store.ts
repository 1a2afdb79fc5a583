import type { Logger } from "pino";
import type { Clock } from "../lib/clock.ts";
import type { EventLog } from "./event-log.ts";
import type { FileVersionPage } from "./file-version-table.ts";
import type { PendingIntent } from "./intent-table.ts";
import type { FileEdits } from "./line-diff.ts";
import { createMaintenance } from "./maintenance.ts";
import type { FileVersion, Operation, ReloadRecord, StoredAnswer, StoredSource } from "./operations.ts";
import type { ReadingCalls, ReadingThreadData } from "./reading-thread.ts";
import { DEFAULT_RETENTION, type Retention } from "./retention.ts";
import type { Revision, RevisionFile, RevisionPage } from "./revision-table.ts";
import { takeStateDirectory } from "./state-directory.ts";
import { type StoreHealth, StoreHealthWatch } from "./store-health.ts";
import { StoredEventLog } from "./stored-event-log.ts";
import { RestartingThread, Thread } from "./thread.ts";
import type { TransactionRow } from "./transaction-table.ts";
import { toWire, type WireBatch } from "./wire.ts";
import { WriteQueue } from "./write-queue.ts";
import type { WritingCalls, WritingThreadData } from "./writing-thread.ts";

/**
 * The durable state of one haplane: revisions, reloads, sources, intents and the event log, in one SQLite database below the state directory, used off the event
 * loop. Writes and reads go to different threads, so that a read never waits for a disk that is slow to make a write durable.
 *
 * Every method rejects with `STORE_UNAVAILABLE` when the disk is full, cannot be written or fails, or when the store is closed; what was stored before is unharmed,
 * and the caller may try again.
 */
export interface Store {
  /** Names this state directory's history, in 22 characters of base64url. A lost or damaged database begins a new one, which is told to watchers. */
  readonly epoch: string;
  /** The key of the etags of this installation: 32 random bytes. Never leaves the process. */
  readonly etagKey: Uint8Array;
  /** Number of the newest durable revision; 0 when there is none. */
  readonly newestRevision: number;
  /** Number of the newest durable reload record; 0 when there is none. */
  readonly newestReload: number;
  /** Where the database of before was put, when it was damaged and a new one was begun. */
  readonly setAside: string | undefined;
  /** Whether the last write succeeded, and if not, why and since when. */
  readonly health: StoreHealth;
  /** Calls after every change of `health.state`. Returns the way to hear no more. */
  subscribeHealth(listener: () => void): () => void;
  /**
   * Resolves, and never rejects, when the writing thread has died, which only a defect or want of memory can bring about. What it was writing is then unknown, and the start
   * of the process is what settles such things: end it, with this error, and begin anew. Until then every write is refused.
   */
  readonly failed: Promise<Error>;

  /**
   * Applies a batch in one transaction; it is durable when the promise resolves. Batches are applied in the order of the calls; those that wait for the disk at the
   * same time share one transaction and one fsync, and still succeed or fail each for itself. What the batch refers to is copied before this returns.
   * Rejects with a plain error, and stores nothing, when the batch contradicts what is stored: that is its sender's defect.
   */
  write(batch: readonly Operation[]): Promise<void>;

  readonly revisions: Revisions;
  readonly reloads: Reloads;
  readonly sources: Sources;
  readonly events: EventLog;
  /** The intents that were begun and not finished, oldest first, with the former content of their files. */
  pendingIntents(): Promise<readonly PendingIntent[]>;
  /** The transactions that are open, with their writes, the oldest first. */
  transactions(): Promise<readonly TransactionRow[]>;
  /** The answer that `put-answer` has kept for a caller's request. */
  answer(caller: string, requestId: string): Promise<StoredAnswer | undefined>;
  readonly fileVersions: FileVersions;
  /** A value that `put-meta` has put. */
  meta(name: string): Promise<Uint8Array | undefined>;

  /** Lets what was handed over become durable, then frees everything. */
  close(): Promise<void>;
}

/** The history of the configuration. Revisions that retention has dropped are as if they had never been. */
export interface Revisions {
  /** Newest first. */
  list(page: RevisionPage): Promise<readonly Revision[]>;
  /** Rejects with `RESOURCE_NOT_FOUND`. */
  get(number: number): Promise<Revision>;
  /** The files of a revision, ordered by path. Rejects with `RESOURCE_NOT_FOUND`. */
  files(number: number): Promise<readonly RevisionFile[]>;
  /** The bytes of one file, in pieces of at most 64 KiB. Rejects with `RESOURCE_NOT_FOUND`. */
  read(number: number, path: string): AsyncIterable<Uint8Array>;
  /** What differs from one revision to another, line by line, per file, ordered by path. Rejects with `RESOURCE_NOT_FOUND`. */
  diff(from: number, to: number): Promise<readonly FileEdits[]>;
}

/** The history of files beside the configuration. Versions that retention has dropped are as if they had never been. */
export interface FileVersions {
  /** Newest first. */
  list(page: FileVersionPage): Promise<readonly FileVersion[]>;
  /** The newest version of each file, of removed ones too, by name. */
  newest(): Promise<readonly FileVersion[]>;
  /** A version with its content, which is undefined when it removed the file. Rejects with `RESOURCE_NOT_FOUND`. */
  read(
    file: string,
    number: number,
  ): Promise<{ readonly version: FileVersion; readonly content: Uint8Array | undefined }>;
}

/** The records of reloads. */
export interface Reloads {
  /** Newest first; `before` is exclusive, for the next page. */
  list(page: { readonly before?: number; readonly limit: number }): Promise<readonly ReloadRecord[]>;
  /** Rejects with `RESOURCE_NOT_FOUND`. */
  get(number: number): Promise<ReloadRecord>;
}

/** The sources, as discovery keeps them. */
export interface Sources {
  /** Ordered by name. */
  list(): Promise<readonly StoredSource[]>;
  /** Inserts or replaces; durable when it resolves. */
  put(source: StoredSource): Promise<void>;
  /** Forgets a source, if it is there; durable when it resolves. */
  delete(name: string): Promise<void>;
}

/** What `openStore` takes beside the directory. */
export interface StoreOptions {
  readonly clock: Clock;
  readonly logger: Pick<Logger, "info" | "warn" | "error">;
  /** This process's id, kept beside the lock for whoever finds the directory locked. */
  readonly pid: number;
  /** What is not given has the value in `DEFAULT_RETENTION`. */
  readonly retention?: Partial<Retention>;
}

const PIECE_BYTES = 65_536;

/**
 * Takes the state directory for this process, creating it where there is none, and opens the store in it. Rejects with `STATE_LOCKED` when another haplane has the
 * directory, `STORE_UNAVAILABLE` when it cannot be written, and `NOT_SUPPORTED` when it was written by a newer haplane. A damaged database is set aside and a new one begun.
 */
export async function openStore(directory: string, options: StoreOptions): Promise<Store> {
  const { clock, logger, pid } = options;
  const retention = { ...DEFAULT_RETENTION, ...options.retention };
  const state = takeStateDirectory(directory, pid);
  const path = state.database;
  const writer = new Thread<WritingCalls>(new URL("./writing-thread.ts", import.meta.url), {
    path,
    now: clock.now(),
  } satisfies WritingThreadData);
  const reader = new RestartingThread<ReadingCalls>(new URL("./reading-thread.ts", import.meta.url), {
    path,
  } satisfies ReadingThreadData);

  const release = async () => {
    await Promise.all([writer.terminate(), reader.terminate()]);
    state.release();
  };
  const opened = await writer.call("opened", []).catch(async (error) => {
    await release();
    throw error;
  });
  if (opened.setAside !== undefined) {
    logger.error(
      opened.setAside,
      "the state database was damaged: it is set aside, and its history with it; a new one is begun, with the sources that could still be read",
    );
  }

  if (opened.upgrade !== undefined)
    logger.info(
      opened.upgrade,
      "the state database of an older haplane was taken over, with all that is in it; that haplane cannot use it any more",
    );

  let { newestRevision, newestReload } = opened;
  const health = new StoreHealthWatch({ clock, logger, probe: () => void write(PROBE).catch(() => {}) });
  const queue = new WriteQueue({
    writeGroup: (batches, buffers) => writer.call("write", [batches], buffers),
    onDurable(batches, entries) {
      for (const { operations } of batches) {
        for (const operation of operations) {
          if (operation.kind === "append-revision") newestRevision = operation.revision.number;
          if (operation.kind === "put-reload") newestReload = Math.max(newestReload, operation.reload.number);
        }
      }
      events.appended(entries);
    },
    onOutcome: (failure) => health.outcome(failure),
  });
  const write = (batch: readonly Operation[]): Promise<void> => {
    const wire: WireBatch = toWire(batch, clock.now());
    return queue.write(wire);
  };
  const events = new StoredEventLog({
    epoch: Buffer.from(opened.epoch).toString("base64url"),
    newest: opened.newest,
    oldest: opened.oldest,
    logger,
    append: (appended) => write([{ kind: "append-events", events: appended }]),
    read: (after, limit) => reader.call("readEvents", [after, limit]),
  });
  const maintenance = createMaintenance({
    clock,
    logger,
    step: async () => {
      const { oldest, more } = await writer.call("maintain", [clock.now(), retention]);
      events.pruned(oldest);
      return more;
    },
  });
  const failed = writer.over.then((error) => {
    // After `close` there is nothing to tell, ever.
    if (error === undefined) return new Promise<never>(() => {});
    logger.error({ err: error }, "the thread that writes the state database has died");
    return error;
  });

  let closing: Promise<void> | undefined;
  const close = async () => {
    maintenance.stop();
    health.stop();
    await queue.idle();
    await writer
      .call("close", [])
      .catch((error) => logger.warn({ err: error }, "the store did not close cleanly"));
    await release();
  };

  return {
    epoch: events.epoch,
    etagKey: opened.etagKey,
    get newestRevision() {
      return newestRevision;
    },
    get newestReload() {
      return newestReload;
    },
    setAside: opened.setAside?.path,
    get health() {
      return health.state;
    },
    subscribeHealth: (listener) => health.subscribe(listener),
    failed,
    write,
    revisions: {
      list: (page) => reader.call("listRevisions", [page]),
      get: (number) => reader.call("getRevision", [number]),
      files: (number) => reader.call("revisionFiles", [number]),
      async *read(number, file) {
        const content = await reader.call("readRevisionFile", [number, file]);
        for (let at = 0; at < content.length; at += PIECE_BYTES) yield content.subarray(at, at + PIECE_BYTES);
      },
      diff: (from, to) => reader.call("diffRevisions", [from, to]),
    },
    reloads: {
      list: (page) => reader.call("listReloads", [page]),
      get: (number) => reader.call("getReload", [number]),
    },
    sources: {
      list: () => reader.call("listSources", []),
      put: (source) => write([{ kind: "put-source", source }]),
      delete: (name) => write([{ kind: "delete-source", name }]),
    },
    fileVersions: {
      list: (page) => reader.call("listFileVersions", [page]),
      newest: () => reader.call("newestFileVersions", []),
      read: (file, number) => reader.call("readFileVersion", [file, number]),
    },
    events,
    pendingIntents: () => reader.call("pendingIntents", []),
    transactions: () => reader.call("listTransactions", []),
    answer: (caller, requestId) => reader.call("getAnswer", [caller, requestId]),
    meta: (name) => reader.call("getMeta", [name]),
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

// A write that changes nothing worth keeping, to find out whether writing works again.
const PROBE: readonly Operation[] = [{ kind: "put-meta", name: "probe", value: new Uint8Array(1) }];
