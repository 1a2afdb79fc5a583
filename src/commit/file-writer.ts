import type { Logger } from "pino";
import type { Clock } from "../lib/clock.ts";
import { Serial } from "../lib/serial.ts";
import type { Operation } from "../store/operations.ts";
import type { Store } from "../store/store.ts";
import type { ConfigFiles } from "./config-files.ts";
import type { History } from "./history.ts";
import type { Position, WorkingDocument } from "./working-document.ts";

/** Edits of the runtime lane are in the file this long after they were made, at the latest; a write takes what has come by then. */
const COALESCE_MS = 50;
const RETRY_MS = { first: 250, most: 10_000 };

/** What the writer is given. */
export interface FileWriterOptions {
  readonly working: WorkingDocument;
  readonly files: ConfigFiles;
  readonly history: History;
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when a write found that somebody else had changed a file. Nothing is written until the files are ours again. */
  readonly onForeign: () => void;
}

/**
 * Brings the files after the document for the runtime lane, whose changes are live before they are durable. One write at a time; the reload lane, which writes in its own
 * order, takes turns with it through `exclusive`. A disk that is full or slow delays this and nothing else: it is retried until it succeeds.
 */
export class FileWriter {
  readonly #options: FileWriterOptions;
  readonly #turns = new Serial();
  /** Everything before it is in the files. */
  #written: Position;
  #cancelTimer: (() => void) | undefined;
  #retryMs = RETRY_MS.first;
  /** The files may hold something else than the document although no edit waits: a failed reload is to be undone. */
  #behind = false;
  /** What goes into the store with the next revision. */
  #owed: Operation[] = [];
  /** Set while writes fail: what is live is not durable. */
  #failure: { readonly since: number; readonly reason: string } | undefined;

  constructor(options: FileWriterOptions) {
    this.#options = options;
    this.#written = options.working.position;
  }

  /** Why the files lag behind, and since when; undefined when they do not. */
  get failure(): { readonly since: number; readonly reason: string } | undefined {
    return this.#failure;
  }

  /** Everything before this position is in the files. */
  get written(): Position {
    return this.#written;
  }

  /** Says that the document has edits that the files lack, or that the files can be written again. */
  touch(): void {
    const { files, working } = this.#options;
    // What is live stays so, and is not remembered.
    if (files.state.kind === "observed") this.settle(working.position);
    else if (this.#cancelTimer === undefined && this.#hasWork()) this.#schedule(COALESCE_MS);
  }

  /** Says that the files have to be made to hold the document, whether or not edits wait. */
  restore(): void {
    this.#behind = true;
    this.touch();
  }

  /** Has operations that could not be stored tried again, with the edits that wait for their revision. */
  owe(operations: readonly Operation[]): void {
    this.#owed.push(...operations);
    this.touch();
  }

  /** Runs a task while nothing else writes. */
  exclusive<T>(task: () => Promise<T>): Promise<T> {
    return this.#turns.run(task);
  }

  /** Says that the files hold the document up to a position. */
  settle(position: Position): void {
    this.#written = position;
    this.#options.working.forget(position);
  }

  /** Writes nothing any more by itself. */
  stop(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** Writes what there is to write now, once. Resolves also when it could not be written. */
  async flush(): Promise<void> {
    this.stop();
    await this.exclusive(() => this.#write());
  }

  #schedule(delayMs: number): void {
    this.#cancelTimer = this.#options.clock.after(delayMs, () => {
      this.#cancelTimer = undefined;
      void this.exclusive(() => this.#write());
    });
  }

  #hasWork(): boolean {
    return this.#behind || this.#owed.length > 0 || this.#options.working.position > this.#written;
  }

  async #write(): Promise<void> {
    const { working, files, history, store, clock, logger, onForeign } = this.#options;
    if (files.state.kind !== "ours" || !this.#hasWork()) return;
    const edits = working.since(this.#written);
    const position = working.position;
    const owed = this.#owed;
    try {
      const outcome = await files.write(working.current);
      if (outcome.kind === "foreign") {
        files.state = { kind: "foreign" };
        onForeign();
        return;
      }
      if (edits.length > 0) {
        await history.append({ parts: files.believed, lane: "discovery", edits, with: () => owed });
        this.settle(position);
      } else if (owed.length > 0) await store.write(owed);
      this.#owed = this.#owed.slice(owed.length);
      this.#behind = false;
      this.#retryMs = RETRY_MS.first;
      if (this.#failure !== undefined) logger.info("the configuration file is up to date again");
      this.#failure = undefined;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (this.#failure === undefined)
        logger.error({ err: error }, "changes are live but not in the configuration file; it is tried again");
      this.#failure ??= { since: clock.now(), reason };
      this.#schedule(this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS.most);
    }
  }
}
