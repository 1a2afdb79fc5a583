import { createHash } from "node:crypto";
import { type BigIntStats, constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { ifThere } from "../lib/files.ts";
import type { StorageFs } from "./file-system.ts";
import type { ContentFacts } from "./staged-file.ts";

/** What is known of a file. The same object for as long as the file does not change. */
export interface FileFacts extends ContentFacts {
  readonly name: string;
  /** Absolute path. */
  readonly path: string;
  /** Changes exactly when the content does. */
  readonly etag: string;
  /** When the content was written, in milliseconds since 1970. */
  readonly modifyTime: number;
}

const PIECE_BYTES = 262_144;

/** What is known of the files of a directory, which are read again only when they have changed. Names are checked by the caller. */
export class KnownFiles {
  readonly #fs: StorageFs;
  readonly #directory: string;
  readonly #known = new Map<string, { readonly stat: BigIntStats; readonly facts: FileFacts }>();

  constructor(fs: StorageFs, directory: string) {
    this.#fs = fs;
    this.#directory = directory;
  }

  /** What is known of a file; undefined when there is no regular file of that name. */
  async facts(name: string): Promise<FileFacts | undefined> {
    const path = join(this.#directory, name);
    const stat = await ifThere(this.#fs.lstat(path, { bigint: true }));
    if (stat === undefined || !stat.isFile()) {
      this.#known.delete(name);
      return undefined;
    }
    const known = this.#known.get(name);
    if (known !== undefined && isSameFile(known.stat, stat)) return known.facts;
    const content = await this.#hash(path);
    return content && this.remember(name, stat, content);
  }

  /** Keeps what is known without reading the file. */
  remember(name: string, stat: BigIntStats, content: ContentFacts): FileFacts {
    const facts: FileFacts = {
      ...content,
      name,
      path: join(this.#directory, name),
      etag: content.sha256.slice(0, 32),
      modifyTime: Number(stat.mtimeMs),
    };
    this.#known.set(name, { stat, facts });
    return facts;
  }

  forget(name: string): void {
    this.#known.delete(name);
  }

  /** Forgets all but these. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const name of [...this.#known.keys()]) if (!names.has(name)) this.#known.delete(name);
  }

  /** User and group of a file, when it is known. */
  ownerOf(name: string): { readonly uid: number; readonly gid: number } | undefined {
    const stat = this.#known.get(name)?.stat;
    return stat && { uid: Number(stat.uid), gid: Number(stat.gid) };
  }

  /** Whether a link is to the file that was found; making it has changed the inode's own time. */
  async isLinkTo(link: string, former: FileFacts): Promise<boolean> {
    const known = this.#known.get(former.name);
    const stat = await this.#fs.lstat(link, { bigint: true });
    if (known?.facts === former) {
      const { ino, size, mtimeNs } = known.stat;
      if (stat.ino === ino && stat.size === size && stat.mtimeNs === mtimeNs) return true;
    }
    return (await this.#hash(link))?.sha256 === former.sha256;
  }

  async #hash(path: string): Promise<ContentFacts | undefined> {
    const handle = await openRegular(this.#fs, path);
    if (handle === undefined) return undefined;
    try {
      const hash = createHash("sha256");
      const piece = Buffer.allocUnsafe(PIECE_BYTES);
      for (let size = 0; ; ) {
        const { bytesRead } = await handle.read(piece, 0, piece.length, size);
        if (bytesRead === 0) return { size, sha256: hash.digest("hex") };
        hash.update(piece.subarray(0, bytesRead));
        size += bytesRead;
      }
    } finally {
      await handle.close();
    }
  }
}

/** Opens a regular file for reading, never through a symbolic link and never waiting for a pipe; undefined when there is none. */
export async function openRegular(fs: StorageFs, path: string): Promise<FileHandle | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  let handle: FileHandle | undefined;
  try {
    handle = await ifThere(fs.open(path, flags));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ELOOP") return undefined;
    throw error;
  }
  if (handle === undefined || (await handle.stat()).isFile()) return handle;
  await handle.close();
  return undefined;
}

function isSameFile(a: BigIntStats, b: BigIntStats): boolean {
  return a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}
