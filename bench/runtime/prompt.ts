import { connect, type Socket } from "node:net";

const PROMPT = "\n> ";

/** A bare connection to HAProxy's command line in prompt mode: what goes in, and as many answers. */
export class Prompt {
  readonly #socket: Socket;
  #received = "";
  readonly #waiting: ((answer: string) => void)[] = [];

  constructor(path: string) {
    this.#socket = connect({ path }).setEncoding("latin1");
    this.#socket.on("data", (chunk) => this.#take(String(chunk)));
    void this.ask("prompt");
    void this.ask("set timeout cli 1h");
  }

  ask(command: string): Promise<string> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#socket.write(`${command}\n`);
    });
  }

  /** Sends commands in one write. */
  askTogether(commands: readonly string[]): Promise<string[]> {
    const answers = commands.map(() => new Promise<string>((resolve) => this.#waiting.push(resolve)));
    this.#socket.write(commands.map((command) => `${command}\n`).join(""));
    return Promise.all(answers);
  }

  /** Sends commands with at most `window` of them unanswered. */
  async askAll(commands: readonly string[], window: number): Promise<void> {
    let next = 0;
    const lane = async () => {
      while (next < commands.length) await this.ask(commands[next++] as string);
    };
    await Promise.all(Array.from({ length: window }, lane));
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: string): void {
    this.#received += chunk;
    let from = 0;
    // Looked at only when it may be complete: a long answer comes in many pieces.
    if (!this.#received.endsWith(PROMPT) && !chunk.includes(PROMPT)) return;
    for (;;) {
      const end = this.#received.indexOf(PROMPT, from);
      if (end === -1) break;
      this.#waiting.shift()?.(this.#received.slice(from, end));
      from = end + PROMPT.length;
    }
    this.#received = this.#received.slice(from);
  }
}
