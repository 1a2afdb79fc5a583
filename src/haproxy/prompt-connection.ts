import { connect, type Socket } from "node:net";
import { AnswerReader, type FindPrompt } from "./answer-reader.ts";

/** Most that is kept of one answer: `show stat` of 200,000 servers fits. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;

/** The owner of a connection. */
export interface ConnectionOwner {
  /** An answer, in the order of the commands written. */
  onAnswer(answer: string): void;
  /** The connection ended, whoever ended it; called once. What was not answered by then never will be. */
  onClose(error: Error): void;
}

const nobody: ConnectionOwner = { onAnswer() {}, onClose() {} };

/**
 * One connection to HAProxy's command line that is kept open by `prompt` mode, so that commands can be written without waiting for
 * answers. It knows neither which answer belongs to whom nor deadlines: that is its owner's.
 */
export class PromptConnection {
  readonly #socket: Socket;
  readonly #reader: AnswerReader;
  #owner = nobody;
  #failure: Error | undefined;

  private constructor(socket: Socket, findPrompt: FindPrompt) {
    this.#socket = socket;
    this.#reader = new AnswerReader(findPrompt, MAX_ANSWER_BYTES);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", (error) => this.#end(error));
    socket.on("close", () => this.#end(new Error("HAProxy closed the connection")));
  }

  /**
   * Connects to a UNIX socket, enters prompt mode and asks `commands`. Rejects with the system's error, or with the signal's
   * reason when that aborts before everything is answered.
   */
  static async open(
    path: string,
    findPrompt: FindPrompt,
    commands: readonly string[],
    signal: AbortSignal,
  ): Promise<{ connection: PromptConnection; answers: string[] }> {
    const socket = await connectTo(path, signal);
    const connection = new PromptConnection(socket, findPrompt);
    const [, ...answers] = await ask(connection, ["prompt", ...commands], signal);
    return { connection, answers };
  }

  /** True until either side has closed it. */
  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /** Hands the connection to another owner; a connection that has ended says so at once. */
  handTo(owner: ConnectionOwner): void {
    this.#owner = owner;
    if (this.#failure !== undefined) owner.onClose(this.#failure);
  }

  /** Sends commands, each a line, with its payload, that ends in a newline. Does nothing on a connection that has ended. */
  write(lines: string): void {
    if (this.#failure === undefined) this.#socket.write(lines);
  }

  /** Ends the connection at once. */
  close(reason = "the connection was given up"): void {
    this.#end(new Error(reason));
  }

  #receive(chunk: Buffer): void {
    let answers: string[];
    try {
      answers = this.#reader.read(chunk);
    } catch (error) {
      this.#end(error as Error);
      return;
    }
    for (const answer of answers) this.#owner.onAnswer(answer);
  }

  #end(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#socket.destroy();
    this.#owner.onClose(error);
  }
}

/**
 * Owns a connection for as long as it takes to ask `commands` and read their answers. Closes it when `signal` aborts, since
 * answers would come that nobody counts.
 */
export async function ask(
  connection: PromptConnection,
  commands: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const abort = () => connection.close();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await new Promise<string[]>((resolve, reject) => {
      const answers: string[] = [];
      connection.handTo({
        onAnswer(answer) {
          answers.push(answer);
          if (answers.length === commands.length) resolve(answers);
        },
        onClose: reject,
      });
      connection.write(commands.map((command) => `${command}\n`).join(""));
      if (signal.aborted) abort();
    });
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener("abort", abort);
    connection.handTo(nobody);
  }
}

function connectTo(path: string, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    const settle = (act: () => void) => {
      socket.removeAllListeners();
      signal.removeEventListener("abort", abort);
      act();
    };
    const fail = (error: unknown) =>
      settle(() => {
        socket.on("error", () => {});
        socket.destroy();
        reject(error);
      });
    const abort = () => fail(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    socket.once("error", fail);
    socket.once("connect", () => settle(() => resolve(socket)));
    if (signal.aborted) abort();
  });
}
