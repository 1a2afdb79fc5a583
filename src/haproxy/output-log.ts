import { closeSync, fstatSync, openSync, readSync, renameSync, statSync } from "node:fs";

/** Beyond this size a log is put aside before HAProxy is started again. */
const MAX_BYTES = 4 * 1024 * 1024;

/** Most that is read of what one start or reload has printed. */
const MAX_READ_BYTES = 256 * 1024;

/** The file that takes what a managed HAProxy prints, so that it can outlive haplane. One former file is kept beside it. */
export class OutputLog {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Opens it for a new HAProxy to write to, and puts a long one aside. The caller closes the descriptor. */
  open(): number {
    if (this.size() > MAX_BYTES) renameSync(this.path, `${this.path}.1`);
    return openSync(this.path, "a", 0o600);
  }

  /** Its size in bytes; 0 when there is none. To be remembered before something of which the output is wanted. */
  size(): number {
    return statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** What was printed since the file had `offset` bytes; of more than 256 KiB only the beginning. */
  readFrom(offset: number): string {
    return this.#read((size) => (size < offset ? 0 : offset));
  }

  /** The last that was printed, nothing before `offset`. */
  readTail(offset: number): string {
    return this.#read((size) => Math.max(size - MAX_READ_BYTES, size < offset ? 0 : offset));
  }

  #read(from: (size: number) => number): string {
    let descriptor: number;
    try {
      descriptor = openSync(this.path, "r");
    } catch {
      return "";
    }
    try {
      const buffer = Buffer.alloc(MAX_READ_BYTES);
      const length = readSync(descriptor, buffer, 0, MAX_READ_BYTES, from(fstatSync(descriptor).size));
      return buffer.toString("utf8", 0, length);
    } finally {
      closeSync(descriptor);
    }
  }
}
