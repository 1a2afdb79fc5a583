import { DomainError } from "../lib/errors.ts";
import type { LogEntry } from "./event-log.ts";
import type { WireBatch } from "./wire.ts";
import type { GroupResult, WireOperation } from "./write-batch.ts";

/** What a write queue is given. */
export interface WriteQueueOptions {
  /** Writes batches in one transaction; rejects when none of them is stored. */
  readonly writeGroup: (
    batches: readonly (readonly WireOperation[])[],
    buffers: readonly ArrayBuffer[],
  ) => Promise<GroupResult>;
  /** Told what became durable, in order and before the writers of it are answered. */
  readonly onDurable: (batches: readonly WireBatch[], entries: readonly LogEntry[]) => void;
  /** Told how each group ended. */
  readonly onOutcome: (failure: unknown) => void;
  /** Bytes that may wait for the disk. Default 64 MiB. */
  readonly maxWaitingBytes?: number;
}

/**
 * Group commit: one transaction is under way at a time; what arrives meanwhile waits and shares the next one. A single writer pays one fsync, a thousand at once pay
 * a few.
 */
export class WriteQueue {
  readonly #options: WriteQueueOptions;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #busy = false;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(options: WriteQueueOptions) {
    this.#options = options;
  }

  /** Resolves when the batch is durable. Rejects with `STORE_UNAVAILABLE`, or a plain error when the batch contradicts what is stored. */
  write(batch: WireBatch): Promise<void> {
    const limit = this.#options.maxWaitingBytes ?? MAX_WAITING_BYTES;
    if (this.#waiting.length > 0 && this.#waitingBytes + batch.size > limit) {
      return Promise.reject(
        new DomainError("STORE_UNAVAILABLE", "The disk is too slow: too much waits to be written.", {
          metadata: { waitingBytes: String(this.#waitingBytes), limit: String(limit) },
          retryAfterMs: 1_000,
        }),
      );
    }
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ batch, done });
    this.#waitingBytes += batch.size;
    if (!this.#busy) this.#next();
    return done.promise;
  }

  /** Resolves when nothing waits any more. */
  idle(): Promise<void> {
    if (!this.#busy) return Promise.resolve();
    this.#idle ??= Promise.withResolvers<void>();
    return this.#idle.promise;
  }

  async #next(): Promise<void> {
    this.#busy = true;
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup();
      try {
        const result = await this.#options.writeGroup(
          group.map(({ batch }) => batch.operations),
          group.flatMap(({ batch }) => batch.buffers),
        );
        this.#settle(group, result);
        this.#options.onOutcome(undefined);
      } catch (error) {
        for (const { done } of group) done.reject(error);
        this.#options.onOutcome(error);
      }
    }
    this.#busy = false;
    this.#idle?.resolve();
    this.#idle = undefined;
  }

  #takeGroup(): Waiting[] {
    let size = 0;
    let count = 0;
    for (const { batch } of this.#waiting) {
      if (count > 0 && (size + batch.size > MAX_GROUP_BYTES || count === MAX_GROUP_BATCHES)) break;
      size += batch.size;
      count += 1;
    }
    this.#waitingBytes -= size;
    return this.#waiting.splice(0, count);
  }

  #settle(group: readonly Waiting[], result: GroupResult): void {
    const durable: WireBatch[] = [];
    const entries: LogEntry[] = [];
    for (const [i, { batch }] of group.entries()) {
      const outcome = result.batches[i];
      if (outcome?.kind !== "done") continue;
      durable.push(batch);
      for (const [n, position] of outcome.entries.entries()) {
        entries.push({ ...position, events: batch.entries[n] ?? [] });
      }
    }
    this.#options.onDurable(durable, entries);
    for (const [i, { done }] of group.entries()) {
      const outcome = result.batches[i];
      if (outcome?.kind === "refused") done.reject(new Error(outcome.message));
      else done.resolve();
    }
  }
}

interface Waiting {
  readonly batch: WireBatch;
  readonly done: PromiseWithResolvers<void>;
}

const MAX_WAITING_BYTES = 64 * 1024 * 1024;
// Above this a transaction gains nothing by being larger, and keeps the others waiting.
const MAX_GROUP_BYTES = 4 * 1024 * 1024;
const MAX_GROUP_BATCHES = 1_000;
