import { createHash, type Hash, randomBytes } from "node:crypto";
import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { ifThere } from "../lib/files.ts";
import type { StorageFs } from "./file-system.ts";

/**
 * Ends the names of what lies beside the files for a while: where a bind names the directory, HAProxy loads every file in it as a certificate, hidden ones too, but not those that end so (configuration manual, `crt`).
 */
export const RESERVED = ".key";

/** Begins the name of a file that is being written. */
export const STAGED_PREFIX = ".haplane-new-";

const PIECE_BYTES = 262_144;

/** Pieces that may be on their way to the disk while the next ones come. */
const MAX_UNDER_WAY = 8;

/** Who is to own a file, and what they and others may do. */
export interface FileAttributes {
  readonly mode: number;
  /** Undefined: whoever haplane runs as. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/** How much a file holds, and what that is known by. */
export interface ContentFacts {
  readonly size: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/**
 * A file that is being written beside those it is to replace, under a name that nobody reads. It takes pieces in order; when it is sealed it is durable. `discard` leaves nothing of it, whatever happened
 * before.
 */
export class StagedFile {
  readonly path: string;
  readonly #fs: StorageFs;
  readonly #handle: FileHandle;
  readonly #hash: Hash = createHash("sha256");
  #size = 0;
  /** Writes that have not ended, as far as is known. */
  readonly #underWay: Promise<void>[] = [];

  private constructor(fs: StorageFs, path: string, handle: FileHandle) {
    this.#fs = fs;
    this.path = path;
    this.#handle = handle;
  }

  /** Creates an empty one in a directory; only its owner can read it until it is sealed. */
  static async create(fs: StorageFs, directory: string): Promise<StagedFile> {
    const path = join(directory, `${STAGED_PREFIX}${randomBytes(9).toString("base64url")}${RESERVED}`);
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
    return new StagedFile(fs, path, await fs.open(path, flags, 0o600));
  }

  /** How many bytes it has taken. */
  get size(): number {
    return this.#size;
  }

  /** Appends a piece, which must not change any more. It may be on its way still when this resolves; what fails then fails the next call. */
  async write(piece: Uint8Array): Promise<void> {
    this.#hash.update(piece);
    const written = this.#writeAt(piece, this.#size);
    this.#size += piece.length;
    // Whoever waits for it hears of a failure.
    written.catch(() => {});
    this.#underWay.push(written);
    if (this.#underWay.length > MAX_UNDER_WAY) await this.#underWay.shift();
  }

  /** Makes what was written durable, with its attributes. Nothing can be written afterwards; it can be read until it is closed. */
  async seal({ mode, uid, gid }: FileAttributes): Promise<ContentFacts> {
    const handle = this.#handle;
    await Promise.all(this.#underWay);
    if (uid !== undefined || gid !== undefined) await handle.chown(uid ?? -1, gid ?? -1);
    await handle.chmod(mode);
    await handle.sync();
    return { size: this.#size, sha256: this.#hash.digest("hex") };
  }

  /** Gives it to somebody else, where the system lets haplane do so. */
  async own(uid: number, gid: number): Promise<void> {
    try {
      await this.#handle.chown(uid, gid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EPERM") throw error;
    }
  }

  /** Reads what was written, whole. */
  async read(): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(this.#size);
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await this.#handle.read(bytes, at, bytes.length - at, at);
      if (bytesRead === 0) throw new Error(`${this.path} was cut short`);
      at += bytesRead;
    }
    return bytes;
  }

  /** Reads what was written, piece by piece; a piece holds until the next. */
  async *pieces(): AsyncGenerator<Buffer> {
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    for (let at = 0; ; ) {
      const { bytesRead } = await this.#handle.read(piece, 0, piece.length, at);
      if (bytesRead === 0) return;
      yield piece.subarray(0, bytesRead);
      at += bytesRead;
    }
  }

  /** Lets go of the file, and removes it unless it has been renamed into place. */
  async discard(): Promise<void> {
    await Promise.allSettled(this.#underWay);
    await this.#handle.close();
    await ifThere(this.#fs.unlink(this.path));
  }

  async #writeAt(piece: Uint8Array, position: number): Promise<void> {
    for (let at = 0; at < piece.length; ) {
      const { bytesWritten } = await this.#handle.write(piece, at, piece.length - at, position + at);
      at += bytesWritten;
    }
  }
}
