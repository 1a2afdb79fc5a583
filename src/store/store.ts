import type { Logger } from "pino";
import type { Clock } from "../lib/clock.ts";
import type { FileEdits } from "./delta.ts";
import type { EventLog } from "./event-log.ts";
import type { Operation, ReloadRecord, RevisionLane, StoredSource } from "./operations.ts";

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
  /** Set when the database was damaged and a new one was begun: where the damaged one was put. */
  readonly setAside: string | undefined;
  /** Whether the last write succeeded, and if not, why and since when. */
  readonly health: StoreHealth;
  /** Resolves, never rejects, when the store has failed for good (its thread died): the process should end and begin anew. */
  readonly failed: Promise<Error>;

  /**
   * Applies a batch in one transaction; it is durable when the promise resolves. Batches are applied in the order of the calls; those that wait for the disk at the
   * same time share one transaction and one fsync, and still succeed or fail each for itself.
   */
  write(batch: readonly Operation[]): Promise<void>;

  readonly revisions: Revisions;
  readonly reloads: Reloads;
  readonly sources: Sources;
  readonly events: EventLog;
  /** The intents that were begun and not finished, oldest first, with the former content of their files. */
  pendingIntents(): Promise<readonly PendingIntent[]>;
  /** A value that `put-meta` has put. */
  meta(name: string): Promise<Uint8Array | undefined>;

  /** Lets what was handed over become durable, then frees everything. */
  close(): Promise<void>;
}

/** Whether the store can be written. */
export type StoreHealth =
  | { readonly state: "available" }
  | { readonly state: "unavailable"; readonly reason: string; readonly sinceMs: number };

/** The history of the configuration. Revisions that retention has dropped are as if they had never been. */
export interface Revisions {
  /** Newest first; `before` is exclusive, for the next page. At most `limit`. */
  list(page: {
    readonly before?: number;
    readonly limit: number;
    readonly lanes?: readonly RevisionLane[];
  }): Promise<readonly Revision[]>;
  /** Rejects with `RESOURCE_NOT_FOUND`. */
  get(number: number): Promise<Revision>;
  /** The files of a revision, ordered by path. Rejects with `RESOURCE_NOT_FOUND`. */
  files(number: number): Promise<readonly RevisionFile[]>;
  /** The bytes of one file, whole and in pieces of at most 64 KiB. Rejects with `RESOURCE_NOT_FOUND`. */
  read(number: number, path: string): AsyncIterable<Uint8Array>;
  /** What differs from one revision to another, line by line, per file, ordered by path. Rejects with `RESOURCE_NOT_FOUND`. */
  diff(from: number, to: number): Promise<readonly FileEdits[]>;
}

/** A revision without its content. */
export interface Revision {
  readonly number: number;
  /** The kept revision before it; 0 when there is none. */
  readonly parent: number;
  /** When it was committed, in milliseconds since 1970. */
  readonly time: number;
  readonly author: string;
  readonly message: string;
  readonly lane: RevisionLane;
  readonly resources: readonly string[];
}

/** A file of a revision. */
export interface RevisionFile {
  readonly path: string;
  /** In bytes. */
  readonly size: number;
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
  list(): Promise<readonly StoredSource[]>;
  put(source: StoredSource): Promise<void>;
  delete(name: string): Promise<void>;
}

/** An intent that was not finished. */
export interface PendingIntent {
  readonly id: string;
  readonly time: number;
  readonly base: number;
  readonly data: Uint8Array;
  /** The content that the intent's files had before; undefined for one that did not exist. */
  readonly former: ReadonlyMap<string, Uint8Array | undefined>;
}

/** What `openStore(directory, options)` takes. */
export interface StoreOptions {
  readonly clock: Clock;
  readonly logger: Pick<Logger, "info" | "warn" | "error">;
  /** This process's id, kept beside the lock for whoever finds the directory locked. */
  readonly pid: number;
  readonly retention?: Partial<Retention>;
}

/** How much history is kept. The newest revision, and what pending intents and kept revisions need, is always kept. */
export interface Retention {
  /** Revisions of people and of edits by hand. Default 1,000. */
  readonly revisions: number;
  /** Revisions of discovery. Default 1,000. */
  readonly discoveryRevisions: number;
  /** Age in milliseconds beyond which people's revisions go. Default 365 days. */
  readonly revisionAgeMs: number;
  /** The same for discovery's. Default 7 days. */
  readonly discoveryRevisionAgeMs: number;
  /** Bytes of content of all revisions; beyond it the oldest go, discovery's first. Default 256 MiB. */
  readonly revisionBytes: number;
  /** Reload records. Default 1,000. */
  readonly reloads: number;
  /** Bytes of encoded events. Default 64 MiB. */
  readonly eventBytes: number;
  /** Age in milliseconds beyond which events go. Default 7 days. */
  readonly eventAgeMs: number;
}
