import type { Logger } from "pino";
import type { Clock } from "../lib/clock.ts";
import { Serial } from "../lib/serial.ts";
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
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when a write found that somebody else had changed a file. The writer rests until `resume`. */
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
  #resting = false;
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

  /** Says that the document has edits that the files lack. */
  touch(): void {
    if (this.#cancelTimer !== undefined || this.#resting) return;
    this.#schedule(COALESCE_MS);
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

  /** Writes nothing until `resume`: somebody's edit has to be looked at first. */
  rest(): void {
    this.#resting = true;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** Writes again. */
  resume(): void {
    this.#resting = false;
    if (this.#options.working.position > this.#written) this.touch();
  }

  /** Writes what there is to write now, once. Resolves also when it could not be written. */
  async flush(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (!this.#resting) await this.exclusive(() => this.#write());
  }

  #schedule(delayMs: number): void {
    this.#cancelTimer = this.#options.clock.after(delayMs, () => {
      this.#cancelTimer = undefined;
      void this.exclusive(() => this.#write());
    });
  }

  async #write(): Promise<void> {
    const { working, files, history, clock, logger, onForeign } = this.#options;
    const edits = working.since(this.#written);
    if (edits.length === 0 || this.#resting) return;
    const position = working.position;
    const document = working.current;
    try {
      const outcome = await files.write(document);
      if (outcome.kind === "foreign") {
        this.rest();
        onForeign();
        return;
      }
      await history.append({ parts: files.believed, lane: "discovery", edits });
      this.settle(position);
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
