/**
 * A directory whose files haplane keeps for HAProxy. Names are checked, replacements are atomic and durable, nothing leaves the directory, and what is known of a file is kept until it changes.
 *
 *     const directory = await ManagedDirectory.open({ path, setting: "--maps-dir" });
 *     await directory.write("hosts.map", bytes, { etag });       // one message, durable when it resolves
 *     await directory.list();                                     // size, sha256, etag, times; reads only what has changed
 *     const bytes = await directory.read("hosts.map");
 *     await directory.remove("hosts.map", { etag });
 *
 * In pieces: `stage`, `StagedFile.write` …, `seal`, then `exclusively(name, () => install(name, staged, …))`, at the end `discard`. What is installed can be undone until it is
 * kept; a process that dies in between leaves the former content beside the file, and `interrupted` names it at the next start.
 */
import { createHash, randomBytes } from "node:crypto";
import { type BigIntStats, constants } from "node:fs";
import * as nodeFs from "node:fs/promises";
import { join } from "node:path";
import { DomainError } from "../lib/errors.ts";
import { KeyedSerial } from "../lib/keyed-serial.ts";
import { checkFileName, isFileName } from "./file-name.ts";
import { ifThere, type StorageFs, syncDirectory, writing } from "./file-system.ts";
import { type Content, type FileAttributes, RESERVED, STAGED_PREFIX, StagedFile } from "./staged-file.ts";

/** Who owns the files and their directory; undefined: whoever haplane runs as. */
export interface Owner {
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/** Where a directory is, and whose it is to be. */
export interface DirectoryOptions {
  /** Absolute path. Made with 0750 when it is missing, its parents as well. */
  readonly path: string;
  /** The setting that says where it is; named when it cannot be used. */
  readonly setting: string;
  /** Only its owner may read its files (0600); others have 0640. */
  readonly secret?: boolean;
  readonly owner?: Owner;
  /** Nothing is made or tried; the directory may be missing. */
  readonly readOnly?: boolean;
  /** Default: Node's. */
  readonly fs?: StorageFs;
}

/** What is known of a file. The same object for as long as the file does not change. */
export interface FileFacts extends Content {
  readonly name: string;
  /** Absolute path. */
  readonly path: string;
  /** Changes exactly when the content does. */
  readonly etag: string;
  /** When the content was written, in milliseconds since 1970. */
  readonly modifyTime: number;
}

/** Guards of a write. */
export interface Expected {
  /** The etag that the file has to have. Undefined or empty: any, and none as well. */
  readonly etag?: string;
  /** The file must not be there yet. */
  readonly absent?: boolean;
}

/** A file that is in place and not yet kept. */
export interface Installed {
  readonly facts: FileFacts;
  /** Puts the former file back, or removes the new one where there was none. */
  undo(): Promise<void>;
  /** Forgets the former file. */
  keep(): Promise<void>;
}

/** A replacement of which a former process did not see the end. */
export interface Interrupted {
  readonly name: string;
  /** Puts the former file back. */
  undo(): Promise<void>;
  /** Forgets the former file. */
  keep(): Promise<void>;
}

/** Begins the name of the link that keeps the former content: `.haplane-old-RANDOM-NAME.key`. */
const FORMER_PREFIX = ".haplane-old-";
const FORMER = /^\.haplane-old-[0-9a-f]{12}-(.+)\.key$/;

const PIECE_BYTES = 262_144;

interface Known {
  readonly stat: BigIntStats;
  readonly facts: FileFacts;
}

export class ManagedDirectory {
  /** Absolute path. */
  readonly path: string;
  /** What a new file gets. */
  readonly attributes: FileAttributes;
  readonly #fs: StorageFs;
  readonly #known = new Map<string, Known>();
  readonly #serials = new KeyedSerial();

  private constructor({ path, secret = false, owner, fs = nodeFs }: DirectoryOptions) {
    this.path = path;
    this.attributes = { mode: secret ? 0o600 : 0o640, uid: owner?.uid, gid: owner?.gid };
    this.#fs = fs;
  }

  /** Makes the directory when it is missing and sees whether it can be written. Throws `NOT_SUPPORTED` with a sentence for the operator. */
  static async open(options: DirectoryOptions): Promise<ManagedDirectory> {
    const { path, setting, owner, readOnly = false, fs = nodeFs } = options;
    const directory = new ManagedDirectory(options);
    if (readOnly) return directory;
    try {
      const made = await fs.mkdir(path, { recursive: true, mode: 0o750 });
      if (made !== undefined) await chownDirectory(fs, path, owner);
      const probe = await StagedFile.create(fs, path);
      await probe.discard();
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? String(error);
      throw new DomainError(
        "NOT_SUPPORTED",
        `${path} (${setting}) cannot be used as a directory for files: ${code}; make it a directory that haplane may write, or name another with ${setting}`,
        { cause: error, metadata: { needs: `a writable ${setting}` } },
      );
    }
    return directory;
  }

  /** Where a file of this name is. Throws `FIELD_INVALID` for names that are not allowed. */
  pathOf(name: string, field = "name"): string {
    checkFileName(name, field);
    return join(this.path, name);
  }

  /** The files by name. What is no regular file, hidden, or of a name that haplane would not give is left out. */
  async list(): Promise<readonly FileFacts[]> {
    const names = new Set(((await ifThere(this.#fs.readdir(this.path))) ?? []).filter(isFileName).sort());
    for (const name of [...this.#known.keys()]) if (!names.has(name)) this.#known.delete(name);
    const facts: FileFacts[] = [];
    for (const name of names) {
      const one = await this.facts(name);
      if (one !== undefined) facts.push(one);
    }
    return facts;
  }

  /** What is known of a file; undefined when there is no regular file of that name. Reads it only when it has changed. */
  async facts(name: string): Promise<FileFacts | undefined> {
    const path = this.pathOf(name);
    const stat = await ifThere(this.#fs.lstat(path, { bigint: true }));
    if (stat === undefined || !stat.isFile()) {
      this.#known.delete(name);
      return undefined;
    }
    const known = this.#known.get(name);
    if (known !== undefined && isSameFile(known.stat, stat)) return known.facts;
    const content = await this.#hash(path);
    return content && this.#remember(name, stat, content);
  }

  /** A file's content; undefined when there is no regular file of that name. */
  async read(name: string): Promise<Buffer | undefined> {
    const handle = await this.openFile(name);
    if (handle === undefined) return undefined;
    try {
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  }

  /** Opens a file for reading; undefined when there is no regular file of that name. The caller closes it. */
  async openFile(name: string): Promise<nodeFs.FileHandle | undefined> {
    const handle = await this.#open(this.pathOf(name));
    if (handle === undefined || (await handle.stat()).isFile()) return handle;
    await handle.close();
    return undefined;
  }

  /** Begins a file in pieces. Whoever stages discards, also after installing. */
  stage(): Promise<StagedFile> {
    return writing(this.path, () => StagedFile.create(this.#fs, this.path));
  }

  /** Runs what changes a file when nobody else does. */
  exclusively<T>(name: string, task: () => Promise<T>): Promise<T> {
    return this.#serials.run(name, task);
  }

  /** Throws `ETAG_MISMATCH`, `RESOURCE_EXISTS` or `RESOURCE_NOT_FOUND` unless a file is as expected. Returns what is known of it. */
  async check(name: string, { etag = "", absent = false }: Expected): Promise<FileFacts | undefined> {
    const path = this.pathOf(name);
    const facts = await this.facts(name);
    const resource = { type: "file", name: path };
    if (facts === undefined) {
      const there = await ifThere(this.#fs.lstat(path));
      if (there !== undefined)
        throw new DomainError(
          "RESOURCE_EXISTS",
          `${path} is there and no regular file, so it is left alone`,
          {
            resource,
          },
        );
      if (etag !== "") throw new DomainError("RESOURCE_NOT_FOUND", `there is no ${path}`, { resource });
      await this.#checkCase(name);
      return undefined;
    }
    if (absent) throw new DomainError("RESOURCE_EXISTS", `${path} is there already`, { resource });
    if (etag !== "" && etag !== facts.etag)
      throw new DomainError("ETAG_MISMATCH", `${path} has changed: its etag is ${facts.etag}`, {
        resource,
        metadata: { sent: etag, current: facts.etag },
      });
    return facts;
  }

  /**
   * Puts a sealed file in place of `former`, which `check` has found, in one step that survives a power loss. Throws `ETAG_MISMATCH` when somebody else was quicker; what they wrote
   * is in place then.
   */
  async install(
    name: string,
    staged: StagedFile,
    content: Content,
    former: FileFacts | undefined,
  ): Promise<Installed> {
    const path = this.pathOf(name);
    const link = join(this.path, `${FORMER_PREFIX}${randomBytes(6).toString("hex")}-${name}${RESERVED}`);
    return writing(this.path, async () => {
      const undo = async () => {
        this.#known.delete(name);
        await (former === undefined ? ifThere(this.#fs.unlink(path)) : this.#fs.rename(link, path));
        await syncDirectory(this.#fs, this.path);
      };
      if (former !== undefined) {
        await this.#keepOwner(name, staged);
        await this.#fs.link(path, link);
      }
      let isInPlace = false;
      try {
        await this.#fs.rename(staged.path, path);
        isInPlace = true;
        await syncDirectory(this.#fs, this.path);
        if (former !== undefined && !(await this.#holds(link, former))) {
          throw changedMeanwhile(path);
        }
        const stat = await this.#fs.lstat(path, { bigint: true });
        const facts = this.#remember(name, stat, content);
        const keep = async () => void (former !== undefined && (await ifThere(this.#fs.unlink(link))));
        return { facts, undo, keep };
      } catch (error) {
        if (isInPlace) await undo();
        else await ifThere(this.#fs.unlink(link));
        throw error;
      }
    });
  }

  /** Replaces a file, or makes it, from bytes. */
  write(name: string, bytes: Uint8Array, expected: Expected = {}): Promise<FileFacts> {
    this.pathOf(name);
    return this.exclusively(name, () => this.writeWithin(name, bytes, expected));
  }

  /** The same for a task that runs exclusively already. */
  async writeWithin(name: string, bytes: Uint8Array, expected: Expected): Promise<FileFacts> {
    const staged = await this.stage();
    try {
      const content = await writing(this.path, async () => {
        await staged.write(bytes);
        return staged.seal(this.attributes);
      });
      const former = await this.check(name, expected);
      const installed = await this.install(name, staged, content, former);
      await installed.keep();
      return installed.facts;
    } finally {
      await staged.discard();
    }
  }

  /** Gives a file that is there the mode of new ones, and their owner where a setting names one. */
  async setAttributes(name: string): Promise<void> {
    const handle = await this.openFile(name);
    if (handle === undefined) return;
    try {
      const { mode, uid = -1, gid = -1 } = this.attributes;
      const stat = await handle.stat();
      if ((uid !== -1 && uid !== stat.uid) || (gid !== -1 && gid !== stat.gid)) await handle.chown(uid, gid);
      if ((stat.mode & 0o7777) !== mode) await handle.chmod(mode);
    } finally {
      await handle.close();
    }
  }

  /** Removes a file durably. Throws `RESOURCE_NOT_FOUND`, `ETAG_MISMATCH`. */
  remove(name: string, { etag }: Pick<Expected, "etag"> = {}): Promise<void> {
    const path = this.pathOf(name);
    return this.exclusively(name, async () => {
      const former = await this.check(name, etag === undefined ? {} : { etag });
      if (former === undefined)
        throw new DomainError("RESOURCE_NOT_FOUND", `there is no ${path}`, {
          resource: { type: "file", name: path },
        });
      await writing(this.path, async () => {
        await this.#fs.unlink(path);
        await syncDirectory(this.#fs, this.path);
      });
      this.#known.delete(name);
    });
  }

  /** Removes what a former process staged and never installed, and tells what it installed and never kept. For the start, before anything is written. */
  async interrupted(): Promise<readonly Interrupted[]> {
    const found: Interrupted[] = [];
    for (const entry of await this.#fs.readdir(this.path)) {
      const path = join(this.path, entry);
      if (entry.startsWith(STAGED_PREFIX)) await ifThere(this.#fs.unlink(path));
      const name = FORMER.exec(entry)?.[1];
      if (name !== undefined && isFileName(name))
        found.push({
          name,
          keep: async () => void (await ifThere(this.#fs.unlink(path))),
          undo: async () => {
            this.#known.delete(name);
            await this.#fs.rename(path, join(this.path, name));
            await syncDirectory(this.#fs, this.path);
          },
        });
    }
    return found;
  }

  /** Two names that differ in case only are one file on other systems, and a trap on this one. */
  async #checkCase(name: string): Promise<void> {
    const lower = name.toLowerCase();
    const clash = (await this.#fs.readdir(this.path)).find(
      (other) => other !== name && other.toLowerCase() === lower,
    );
    if (clash === undefined) return;
    throw new DomainError("RESOURCE_EXISTS", `${clash} is there already, a name that differs in case only`, {
      resource: { type: "file", name: join(this.path, clash) },
    });
  }

  /** Without an owner by setting the former file's stays. */
  async #keepOwner(name: string, staged: StagedFile): Promise<void> {
    const stat = this.#known.get(name)?.stat;
    const { uid, gid } = this.attributes;
    if (stat !== undefined) await staged.own(uid ?? Number(stat.uid), gid ?? Number(stat.gid));
  }

  #remember(name: string, stat: BigIntStats, content: Content): FileFacts {
    const facts: FileFacts = {
      ...content,
      name,
      path: join(this.path, name),
      etag: content.sha256.slice(0, 32),
      modifyTime: Number(stat.mtimeMs),
    };
    this.#known.set(name, { stat, facts });
    return facts;
  }

  /** Whether a link is to the file that was found; making it has changed the inode's own time. */
  async #holds(link: string, former: FileFacts): Promise<boolean> {
    const known = this.#known.get(former.name);
    const stat = await this.#fs.lstat(link, { bigint: true });
    if (known?.facts === former) {
      const { ino, size, mtimeNs } = known.stat;
      if (stat.ino === ino && stat.size === size && stat.mtimeNs === mtimeNs) return true;
    }
    return (await this.#hash(link))?.sha256 === former.sha256;
  }

  /** Never through a symbolic link, and never waiting for a pipe. */
  async #open(path: string): Promise<nodeFs.FileHandle | undefined> {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    try {
      return await ifThere(this.#fs.open(path, flags));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ELOOP") return undefined;
      throw error;
    }
  }

  async #hash(path: string): Promise<Content | undefined> {
    const handle = await this.#open(path);
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

function isSameFile(a: BigIntStats, b: BigIntStats): boolean {
  return a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}

async function chownDirectory(fs: StorageFs, path: string, owner: Owner | undefined): Promise<void> {
  if (owner?.uid === undefined && owner?.gid === undefined) return;
  const handle = await fs.open(path, "r");
  try {
    await handle.chown(owner.uid ?? -1, owner.gid ?? -1);
  } finally {
    await handle.close();
  }
}

/** Says that somebody else was quicker. */
export function changedMeanwhile(path: string): DomainError {
  return new DomainError("ETAG_MISMATCH", `${path} was changed by somebody else in the meantime`, {
    resource: { type: "file", name: path },
    metadata: { sent: "", current: "" },
  });
}
