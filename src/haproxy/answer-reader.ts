/** Where an answer ends in what was received. */
export interface PromptFound {
  /** Offset of the first byte that is not of the answer. */
  readonly start: number;
  /** Offset after the prompt. */
  readonly end: number;
}

/** Looks for the first prompt in `bytes`; the bytes before `from` were looked at before. */
export type FindPrompt = (bytes: Buffer, from: number) => PromptFound | undefined;

const WORKER_PROMPT = Buffer.from("\n> ");
const MASTER_PROMPT = /(?:^|\n)master(?:\[ReloadFailed\])?(?:\([a-z]+\))?> /;

/** The prompt of a worker's CLI (management guide, section 9.3, `prompt`). */
export const findWorkerPrompt: FindPrompt = (bytes, from) => {
  const start = bytes.indexOf(WORKER_PROMPT, Math.max(0, from - WORKER_PROMPT.length + 1));
  return start === -1 ? undefined : { start, end: start + WORKER_PROMPT.length };
};

/** The prompt of the master's CLI, which says `master[ReloadFailed]> ` after a failed reload (section 9.4). */
export const findMasterPrompt: FindPrompt = (bytes) => {
  const match = MASTER_PROMPT.exec(bytes.toString("latin1"));
  return match === null ? undefined : { start: match.index, end: match.index + match[0].length };
};

/** Cuts a stream of bytes into answers, each ended by a prompt. */
export class AnswerReader {
  readonly #findPrompt: FindPrompt;
  readonly #maxBytes: number;
  /** The first `#length` bytes are received and not yet answered. */
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;

  /** `maxBytes` bounds what is kept of one answer. */
  constructor(findPrompt: FindPrompt, maxBytes: number) {
    this.#findPrompt = findPrompt;
    this.#maxBytes = maxBytes;
  }

  /** Takes what was received and returns the answers that are complete. Throws a RangeError when one grows beyond the bound. */
  read(chunk: Buffer): string[] {
    const answers: string[] = [];
    let from = this.#length;
    this.#append(chunk);
    let rest = this.#buffer.subarray(0, this.#length);
    for (;;) {
      const found = this.#findPrompt(rest, from);
      if (found === undefined) break;
      answers.push(rest.toString("utf8", 0, found.start));
      rest = rest.subarray(found.end);
      from = 0;
    }
    if (answers.length > 0) this.#restart(rest);
    if (this.#length > this.#maxBytes)
      throw new RangeError(`an answer is longer than ${this.#maxBytes} bytes`);
    return answers;
  }

  #append(chunk: Buffer): void {
    const needed = this.#length + chunk.length;
    if (this.#length === 0) {
      this.#buffer = chunk;
    } else {
      if (needed > this.#buffer.length) {
        const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
        this.#buffer.copy(grown, 0, 0, this.#length);
        this.#buffer = grown;
      }
      chunk.copy(this.#buffer, this.#length);
    }
    this.#length = needed;
  }

  /** A copy, so that a short rest does not hold the memory of a long answer. */
  #restart(rest: Buffer): void {
    this.#buffer = Buffer.from(rest);
    this.#length = rest.length;
  }
}
