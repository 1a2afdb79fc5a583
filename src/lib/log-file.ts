import { createWriteStream, type WriteStream } from "node:fs";
import { dirname } from "node:path";
import type { DestinationStream } from "pino";
import { makeDirectory } from "./make-directory.ts";

/** A file that log lines are appended to. It can be opened anew, so that `logrotate` may move it away. */
export class LogFile implements DestinationStream {
  readonly #path: string;
  #stream: WriteStream;
  /** A stream that could not write once never does again. */
  #isBroken = false;

  constructor(path: string) {
    this.#path = path;
    makeDirectory(dirname(path), 0o700);
    this.#stream = this.#open();
  }

  write(line: string): void {
    if (this.#isBroken) this.reopen();
    this.#stream.write(line);
  }

  /** Goes on in the file that is at the path now. */
  reopen(): void {
    const before = this.#stream;
    this.#stream = this.#open();
    before.end();
  }

  #open(): WriteStream {
    const stream = createWriteStream(this.#path, { flags: "a", mode: 0o600 });
    this.#isBroken = false;
    // A disk that is full costs log lines, not the process, and no more than those that it has no room for.
    stream.on("error", () => {
      if (this.#stream === stream) this.#isBroken = true;
    });
    return stream;
  }
}
