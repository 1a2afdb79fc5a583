import { createBackoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import type { WorkerConnection } from "./worker-connection.ts";

/** Longest attempt to connect and be greeted. */
const ATTEMPT_MS = 2_000;

/** What a connector needs. */
export interface ConnectorOptions {
  readonly connect: (signal: AbortSignal) => Promise<WorkerConnection>;
  readonly clock: Clock;
  /** Whether this is the worker to talk to. */
  readonly accepts: (worker: WorkerConnection) => boolean;
  /** Called once with the worker that was accepted. */
  readonly onConnected: (worker: WorkerConnection) => void;
  /** Called when another worker answers. */
  readonly onDoubt: () => void;
}

/** Tries to connect to the right worker, with growing pauses, until it succeeds or is stopped. */
export class Connector {
  readonly #options: ConnectorOptions;
  readonly #pause = createBackoff({ firstMs: 10, maxMs: 250 });
  /** Ends the attempt, or the pause before the next one; undefined when there is neither. */
  #cancel: (() => void) | undefined;
  #lastError = "";

  constructor(options: ConnectorOptions) {
    this.#options = options;
  }

  /** Why the last attempt failed; empty when none did. */
  get lastError(): string {
    return this.#lastError;
  }

  /** Begins to try, unless it is at it. */
  start(): void {
    if (this.#cancel === undefined) void this.#attempt();
  }

  /** Gives up what is under way. The next start tries at once. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#pause.reset();
  }

  async #attempt(): Promise<void> {
    const { connect, clock, accepts, onConnected, onDoubt } = this.#options;
    const abort = new AbortController();
    const cancel = () => abort.abort();
    this.#cancel = cancel;
    const stopTimer = clock.after(ATTEMPT_MS, () => abort.abort(new Error("no answer to the greeting")));
    const worker = await connect(abort.signal).catch((error: Error) => {
      this.#lastError = error.message;
      return undefined;
    });
    stopTimer();
    if (this.#cancel !== cancel) {
      worker?.prompt.close();
    } else if (worker !== undefined && accepts(worker)) {
      this.stop();
      onConnected(worker);
    } else {
      if (worker !== undefined) {
        this.#lastError = `process ${worker.pid} answers, which is not the present worker`;
        worker.prompt.close();
        onDoubt();
      }
      this.#cancel = clock.after(this.#pause.next(), () => void this.#attempt());
    }
  }
}
