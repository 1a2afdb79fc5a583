/**
 * A directory whose files haplane keeps for HAProxy. Names are checked, replacements are atomic and durable, nothing leaves the directory, and what is known of a file is kept until it changes.
 *
 *     const directory = await ManagedDirectory.open({ path, setting: "--maps-dir" });
 *     await directory.exclusively("hosts.map", () => directory.writeWithin("hosts.map", bytes, { etag }));   // durable when it resolves
 *     await directory.list();                                     // size, sha256, etag, times; reads only what has changed
 *     const bytes = await directory.read("hosts.map");
 *     await directory.remove("hosts.map", { etag });
 *
 * In pieces: `stage`, `StagedFile.write` …, `seal`, then `exclusively(name, () => install(name, staged, …))`, at the end `discard`. What is installed can be undone until it is
 * kept; a process that dies in between leaves the former content beside the file, and `interrupted` names it at the next start.
 */
import * as nodeFs from "node:fs/promises";
import { join } from "node:path";
import { DomainError } from "../lib/errors.ts";
import { ifThere, syncDirectory } from "../lib/files.ts";
import { KeyedSerial } from "../lib/keyed-serial.ts";
import { makeDirectory } from "../lib/make-directory.ts";
import { writing } from "../lib/writing.ts";
import { checkExpected, type Expected, type ResourceNames } from "./expected.ts";
import { checkFileName, isFileName } from "./file-name.ts";
import type { StorageFs } from "./file-system.ts";
import { findInterrupted, type Installed, type Interrupted, install, type Place } from "./install.ts";
import { type FileFacts, KnownFiles, openRegular } from "./known-files.ts";
import { type ContentFacts, type FileAttributes, StagedFile } from "./staged-file.ts";

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
  /** Gives the resource names of its files. Default: their paths. */
  readonly nameOf?: ResourceNames;
  /** Nothing is made or tried; the directory may be missing. */
  readonly readOnly?: boolean;
  /** Default: Node's. */
  readonly fs?: StorageFs;
}

export class ManagedDirectory {
  /** Absolute path. */
  readonly path: string;
  /** What a new file gets. */
  readonly attributes: FileAttributes;
  readonly #nameOf: ResourceNames;
  readonly #fs: StorageFs;
  readonly #known: KnownFiles;
  readonly #serials = new KeyedSerial();

  private constructor(options: DirectoryOptions) {
    const { path, secret = false, owner, fs = nodeFs, nameOf = (name) => join(path, name) } = options;
    this.#nameOf = nameOf;
    this.path = path;
    this.attributes = { mode: secret ? 0o600 : 0o640, uid: owner?.uid, gid: owner?.gid };
    this.#fs = fs;
    this.#known = new KnownFiles(fs, path);
  }

  /** Makes the directory when it is missing and sees whether it can be written. Throws `NOT_SUPPORTED` with a sentence for the operator. */
  static async open(options: DirectoryOptions): Promise<ManagedDirectory> {
    const { path, setting, owner, readOnly = false, fs = nodeFs } = options;
    const directory = new ManagedDirectory(options);
    if (readOnly) return directory;
    try {
      const made = makeDirectory(path, 0o750);
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
    this.#known.keepOnly(names);
    const facts: FileFacts[] = [];
    for (const name of names) {
      const one = await this.facts(name);
      if (one !== undefined) facts.push(one);
    }
    return facts;
  }

  /** What is known of a file; undefined when there is no regular file of that name. Reads it only when it has changed. */
  async facts(name: string): Promise<FileFacts | undefined> {
    this.pathOf(name);
    return this.#known.facts(name);
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
    return openRegular(this.#fs, this.pathOf(name));
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
  async check(name: string, expected: Expected): Promise<FileFacts | undefined> {
    return checkExpected(this.#fs, this.pathOf(name), await this.facts(name), expected, this.#nameOf);
  }

  /** Puts a sealed file in place of `former`, which `check` has found; see `install`. */
  install(
    name: string,
    staged: StagedFile,
    content: ContentFacts,
    former: FileFacts | undefined,
  ): Promise<Installed> {
    this.pathOf(name);
    return install(this.#place, name, staged, content, former);
  }

  /** Replaces a file, or makes it, from bytes; for a task that runs exclusively. */
  async writeWithin(name: string, bytes: Uint8Array, expected: Expected): Promise<FileFacts> {
    this.pathOf(name);
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
          resource: { type: "file", name: this.#nameOf(name) },
        });
      await writing(this.path, async () => {
        await this.#fs.unlink(path);
        await syncDirectory(this.#fs, this.path);
      });
      this.#known.forget(name);
    });
  }

  /** Removes what a former process staged and never installed, and tells what it installed and never kept. For the start, before anything is written. */
  interrupted(): Promise<readonly Interrupted[]> {
    return findInterrupted(this.#place);
  }

  get #place(): Place {
    return {
      ...{ directory: this.path, fs: this.#fs, known: this.#known },
      ...{ attributes: this.attributes, nameOf: this.#nameOf },
    };
  }
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
