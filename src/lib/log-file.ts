import { closeSync, constants, createWriteStream, openSync, type WriteStream } from "node:fs";
import { dirname } from "node:path";
import type { DestinationStream } from "pino";
import { saysDirectory } from "./files.ts";
import { makeDirectory } from "./make-directory.ts";
import { StartError } from "./start-error.ts";

/** A file that log lines are appended to. It can be opened anew, so that `logrotate` may move it away. */
export class LogFile implements DestinationStream {
  readonly #path: string;
  #stream: WriteStream;
  /** A stream that could not write once never does again. */
  #isBroken = false;

  constructor(path: string) {
    this.#path = path;
    requireWritable(path);
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

/** Throws a StartError for a log that cannot be written: later, its lines would be lost without a word. */
function requireWritable(path: string): void {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
  try {
    makeDirectory(dirname(path), 0o700);
    // Without O_NONBLOCK a FIFO that nobody reads would be waited for.
    closeSync(openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o600));
  } catch (cause) {
    throw new StartError(`${path} (log_file) cannot be written: ${whyUnwritable(cause)}`, { cause });
  }
}

function whyUnwritable(error: unknown): string {
  if (saysDirectory(error)) return "it is a directory, and must be a file";
  const { code, message } = error as NodeJS.ErrnoException;
  return code === "ENXIO" ? "it is a FIFO that nobody reads, or a socket" : message;
}
