import { setImmediate as turn } from "node:timers/promises";
import { toBinary } from "@bufbuild/protobuf";
import { type Event, EventSchema } from "../../gen/haplane/v1/events_pb.js";
import type { EventLog, LogEntry, LogPage, LogPosition, ReadLimit } from "../../src/events/event-log.ts";

/** What survives a restart of a log in memory. */
export interface MemoryLogState {
  readonly epoch: string;
  readonly entries: LogEntry[];
}

/** Begins an empty history. */
export function emptyLogState(epoch = "memory-epoch"): MemoryLogState {
  return { epoch, entries: [] };
}

// More than a read takes, so that a read may be ahead of the listeners.
const TURNS_UNTIL_TOLD = 3;

/**
 * The event log as a list. Like the real one it can be read before its listeners have been told, it tells them in order, and a read takes a while.
 */
export class MemoryEventLog implements EventLog {
  readonly epoch: string;
  readonly #entries: LogEntry[];
  readonly #listeners = new Set<(entries: readonly LogEntry[]) => void>();
  #newest: LogPosition;
  #appending: Promise<void> = Promise.resolve();

  constructor(state: MemoryLogState) {
    this.epoch = state.epoch;
    this.#entries = state.entries;
    const last = state.entries.at(-1);
    this.#newest = { seq: last?.seq ?? 0, revision: last?.revision ?? 0 };
  }

  get newest(): LogPosition {
    return this.#newest;
  }

  get oldest(): number {
    const first = this.#entries[0];
    return first === undefined ? this.#newest.seq + 1 : first.seq - first.events.length + 1;
  }

  append(events: readonly Event[]): Promise<void> {
    this.#appending = this.#appending.then(async () => {
      const last = this.#entries.at(-1) ?? this.#newest;
      const entry = {
        seq: last.seq + events.length,
        revision: Math.max(last.revision, ...events.map((event) => Number(event.revision))),
        events: events.map((event) => ({
          kind: event.kind,
          resource: event.resource,
          bytes: toBinary(EventSchema, event),
        })),
      };
      this.#entries.push(entry);
      for (let turns = 0; turns < TURNS_UNTIL_TOLD; turns += 1) await turn();
      this.#newest = { seq: entry.seq, revision: entry.revision };
      for (const listener of this.#listeners) listener([entry]);
    });
    return this.#appending;
  }

  async read(after: number, limit: ReadLimit): Promise<LogPage> {
    const entries: LogEntry[] = [];
    let count = 0;
    let bytes = 0;
    for (const entry of this.#entries) {
      if (entry.seq <= after) continue;
      if (count >= limit.events || bytes >= limit.bytes) break;
      entries.push(entry);
      count += entry.events.length;
      bytes += entry.events.reduce((sum, event) => sum + event.bytes.length, 0);
    }
    const { oldest } = this;
    await turn();
    return { entries, oldest };
  }

  subscribe(listener: (entries: readonly LogEntry[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Drops the oldest entries but for the last `keep`. */
  prune(keep: number): void {
    this.#entries.splice(0, Math.max(0, this.#entries.length - keep));
  }
}
