import type { Logger } from "pino";
import type { Event } from "../../gen/haplane/v1/events_pb.js";
import type { EventLog, LogEntry, LogPage, LogPosition, ReadLimit } from "./event-log.ts";
import { type PackedEntries, unpackEntries } from "./packed-events.ts";

/** What the log does through the threads. */
export interface StoredEventLogOptions {
  readonly epoch: string;
  readonly newest: LogPosition;
  readonly oldest: number;
  readonly append: (events: readonly Event[]) => Promise<void>;
  readonly logger: Pick<Logger, "error">;
  readonly read: (after: number, limit: ReadLimit) => Promise<PackedEntries & { readonly oldest: number }>;
}

/** The event log as it is in the database. */
export class StoredEventLog implements EventLog {
  readonly epoch: string;
  readonly append: (events: readonly Event[]) => Promise<void>;
  readonly #logger: StoredEventLogOptions["logger"];
  readonly #read: StoredEventLogOptions["read"];
  readonly #listeners = new Set<(entries: readonly LogEntry[]) => void>();
  #newest: LogPosition;
  #oldest: number;

  constructor(options: StoredEventLogOptions) {
    this.epoch = options.epoch;
    this.append = options.append;
    this.#logger = options.logger;
    this.#read = options.read;
    this.#newest = options.newest;
    this.#oldest = options.oldest;
  }

  get newest(): LogPosition {
    return this.#newest;
  }

  get oldest(): number {
    return this.#oldest;
  }

  async read(after: number, limit: ReadLimit): Promise<LogPage> {
    const page = await this.#read(after, limit);
    return { entries: unpackEntries(page), oldest: page.oldest };
  }

  subscribe(listener: (entries: readonly LogEntry[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The store says what has become durable. */
  appended(entries: readonly LogEntry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    this.#newest = { seq: last.seq, revision: last.revision };
    for (const listener of this.#listeners) {
      try {
        listener(entries);
      } catch (error) {
        // Its defect must not make a durable write look like a failed one.
        this.#logger.error({ err: error }, "a listener of the event log failed");
      }
    }
  }

  /** The store says what is the oldest event after some were dropped. */
  pruned(oldest: number): void {
    this.#oldest = oldest;
  }
}
