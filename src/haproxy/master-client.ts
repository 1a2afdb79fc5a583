import { connect } from "node:net";
import { findMasterPrompt } from "./answer-reader.ts";
import { ask, PromptConnection } from "./prompt-connection.ts";
import { type ProcessList, parseShowProc } from "./show-proc.ts";

/** What the master's socket gives when it is asked who runs. */
export type MasterAnswer =
  | { readonly kind: "processes"; readonly list: ProcessList }
  /** Nobody listens: the master is dead, or is reading its configuration anew (up to 3.0 it closes its socket meanwhile). */
  | { readonly kind: "refused"; readonly reason: string }
  /** Somebody listens and does not answer. */
  | { readonly kind: "silent"; readonly reason: string };

/** Longest the master is waited for. */
const TIMEOUT_MS = 1_000;

/** What it prints is its start-up log. */
const MAX_RELOAD_ANSWER = 1024 * 1024;

/**
 * Talks to the master's socket, over one connection that is kept: it ends at once when the master reloads or dies, which is told
 * to `onLost`, so that nothing needs to be polled for that.
 */
export class MasterClient {
  readonly #path: string;
  readonly #onLost: () => void;
  #connection: PromptConnection | undefined;

  constructor(path: string, onLost: () => void) {
    this.#path = path;
    this.#onLost = onLost;
  }

  /** `show proc`. One call at a time. Never rejects. */
  async showProc(): Promise<MasterAnswer> {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const connection = this.#connection?.isOpen ? this.#connection : undefined;
    this.#connection = undefined;
    try {
      const { prompt, answer } =
        connection === undefined ? await this.#open(signal) : await again(connection, signal);
      const list = parseShowProc(answer);
      if (list === undefined) {
        prompt.close();
        return { kind: "silent", reason: "the master socket does not answer `show proc`" };
      }
      this.#connection = prompt;
      prompt.handTo({ onAnswer: () => prompt.close(), onClose: () => this.#onLost() });
      return { kind: "processes", list };
    } catch (error) {
      // A connection of before may have ended for many reasons; a new one says which.
      if (connection !== undefined && !signal.aborted) return this.showProc();
      const { message: reason } = error as Error;
      return { kind: isRefused(error) ? "refused" : "silent", reason };
    }
  }

  /**
   * Path of the first UNIX stats socket of a worker that allows everything; undefined when it has none. Asked on a connection of
   * its own, since the master forwards the question to the worker. Rejects when there is no answer.
   */
  async adminSocket(workerPid: number): Promise<string | undefined> {
    const question = `@!${workerPid} show cli sockets`;
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const { connection, answers } = await PromptConnection.open(
      this.#path,
      findMasterPrompt,
      [question],
      signal,
    );
    connection.close();
    return /^unix@(.+) admin \S+$/m.exec(answers[0] as string)?.[1];
  }

  /**
   * Sends `reload` and reads what comes until the master closes the connection: from 2.7 on `Success=` and the start-up log once it is over,
   * before that nothing, at once. Rejects with the system's error or the signal's reason.
   */
  reload(signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect({ path: this.#path });
      const abort = () => socket.destroy(signal.reason as Error);
      signal.addEventListener("abort", abort, { once: true });
      let answer = "";
      let failure: Error | undefined;
      socket.setEncoding("utf8").on("data", (chunk: string) => {
        if (answer.length < MAX_RELOAD_ANSWER) answer += chunk;
      });
      socket.on("error", (error) => {
        failure = error;
      });
      socket.on("close", () => {
        signal.removeEventListener("abort", abort);
        if (failure === undefined) resolve(answer);
        else reject(failure);
      });
      socket.write("reload\n");
      if (signal.aborted) abort();
    });
  }

  /** Ends the connection; the next call makes a new one. */
  close(): void {
    this.#connection?.handTo({ onAnswer() {}, onClose() {} });
    this.#connection?.close();
    this.#connection = undefined;
  }

  async #open(signal: AbortSignal): Promise<{ prompt: PromptConnection; answer: string }> {
    const { connection, answers } = await PromptConnection.open(
      this.#path,
      findMasterPrompt,
      ["show proc"],
      signal,
    );
    return { prompt: connection, answer: answers[0] as string };
  }
}

/** True when the error says that nobody listens on a UNIX socket. */
export function isRefused(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ECONNREFUSED" || code === "ENOENT";
}

async function again(
  prompt: PromptConnection,
  signal: AbortSignal,
): Promise<{ prompt: PromptConnection; answer: string }> {
  const [answer = ""] = await ask(prompt, ["show proc"], signal);
  return { prompt, answer };
}
