import { type Answer, isRefusal, refusal } from "./answer.ts";
import type { CallOptions } from "./call-options.ts";
import { encodeCommand } from "./command.ts";

/** Sends one encoded command to the worker. */
export type RunCommand = (line: string, options: CallOptions) => Promise<Answer>;

/** Thrown when a reload came between the commands of one change: what the former worker has done is gone with it. */
export const WORKER_CHANGED = new Error("a reload came between the commands of one change");

/** Sends the commands of one change, which all have to reach the same worker: what an earlier one has done is gone with it. */
export class OneWorker {
  readonly #run: RunCommand;
  readonly #options: CallOptions;
  /** The worker that has answered so far; 0 before. */
  pid: number;

  /** `pid` is the worker that has answered commands of the change already; 0 when there were none. */
  constructor(run: RunCommand, options: CallOptions, pid = 0) {
    this.#run = run;
    this.#options = options;
    this.pid = pid;
  }

  /** Sends a command and returns the answer, be it a refusal. Throws WORKER_CHANGED when another worker gives it. */
  async ask(...words: string[]): Promise<Answer> {
    return this.#see(await this.#run(encodeCommand(words), this.#options));
  }

  /** Sends an encoded command that has nothing to say when it is done, and throws whatever is said. `what` names it. */
  async send(line: string, what: string): Promise<void> {
    const answer = await this.#see(await this.#run(line, this.#options));
    if (isRefusal(answer) || answer.text !== "") throw refusal(what, answer);
  }

  /** The same from words. */
  tellSilent(...words: string[]): Promise<void> {
    return this.send(encodeCommand(words), words.slice(0, 2).join(" "));
  }

  /** Sends a command and throws a refusal. */
  async tell(...words: string[]): Promise<Answer> {
    const answer = await this.ask(...words);
    if (isRefusal(answer)) throw refusal(words.slice(0, 3).join(" "), answer);
    return answer;
  }

  #see(answer: Answer): Answer {
    const before = this.pid;
    this.pid = answer.workerPid;
    if (before !== 0 && before !== answer.workerPid) throw WORKER_CHANGED;
    return answer;
  }
}
