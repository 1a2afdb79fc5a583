import { createHash } from "node:crypto";
import { DomainError } from "../lib/errors.ts";
import { KeyedSerial } from "../lib/keyed-serial.ts";
import { changedSpoe } from "./changed-spoe.ts";
import { checkFile } from "./check-file.ts";
import {
  fileExists,
  fileInUse,
  fileNotFound,
  fileTooLarge,
  MAX_BYTES,
  onlyLooks,
  otherEtag,
  otherVersion,
} from "./file-errors.ts";
import { parseSpoeFile, printSpoeFile, type SpoeFile } from "./spoe-file.ts";

/** What is known of a file from the directory. The same object for as long as the file does not change. */
export interface SpoeFacts {
  readonly name: string;
  /** Absolute path. */
  readonly path: string;
  readonly size: number;
  /** Hexadecimal. */
  readonly sha256: string;
  readonly etag: string;
  /** When the content was written, in milliseconds since 1970. */
  readonly modifyTime: number;
}

/** The directory of the files. Names that are not allowed throw `FIELD_INVALID`. */
export interface SpoeDirectory {
  list(): Promise<readonly SpoeFacts[]>;
  facts(name: string): Promise<SpoeFacts | undefined>;
  read(name: string): Promise<Buffer | undefined>;
  /** Throws `RESOURCE_EXISTS` for a name that cannot be given to a new file: something else has it, or one that differs in case only. */
  check(name: string, expected: { readonly absent: true }): Promise<unknown>;
}

/** A change of a file that is to be recorded. */
export interface SpoeCommit {
  /** The file as it becomes; undefined: it is removed. */
  readonly after: SpoeFile | undefined;
  /** There was no file: there never was one, or it was removed. */
  readonly isNew: boolean;
  /** The number that it gets. */
  readonly version: number;
  readonly author: string;
  /** A sentence on what changed. */
  readonly message: string;
  /** Names of the resources that changed. */
  readonly resources: readonly string[];
  /** Undefined: the file is removed. */
  readonly content: Buffer | undefined;
  /** Of the content; when it is removed, of the last one. */
  readonly sha256: string;
  readonly size: number;
}

/** How the files' versions are kept. */
export interface SpoeHistory {
  /** The newest version of a file: its number, and the digest of its content, empty when it removed the file. Undefined when the file was never there. */
  newest(name: string): Promise<{ readonly number: number; readonly sha256: string } | undefined>;
  /** Names of the files whose newest version did not remove them. */
  names(): Promise<readonly string[]>;
  /** Records what somebody else has done. */
  found(name: string, commit: SpoeCommit): Promise<void>;
}

/** Makes a commit what is on the disk and what HAProxy runs, and records it, as a whole, or rejects with everything as before. `guard` is called with what the file holds when it is about to be replaced. */
export type ReplaceSpoe<A, K> = (
  name: string,
  commit: SpoeCommit,
  how: {
    readonly validateOnly: boolean;
    /** What is recorded with it. */
    readonly along: K | undefined;
    guard(found: Uint8Array | undefined): void;
  },
) => Promise<A>;

/** What files are kept by. */
export interface SpoeFilesOptions<A, K> {
  readonly directory: SpoeDirectory;
  readonly history: SpoeHistory;
  readonly replace: ReplaceSpoe<A, K>;
  /** The lines of the configuration that use a file, by its path: where they stand and of which resource they are. */
  readonly inUse: (path: string) => readonly { readonly place: string; readonly resource: string }[];
  /** Nothing may be written. */
  readonly readOnly: boolean;
}

/** A file as it is. */
export interface StoredSpoeFile {
  readonly facts: SpoeFacts;
  readonly file: SpoeFile;
  /** Grows by one with every commit, from 1. */
  readonly version: number;
}

/** What became of a write. */
export interface SpoeOutcome<A> extends SpoeMade {
  /** Undefined when nothing differs. */
  readonly applied: A | undefined;
}

/** Who wants a write, and how it is made. */
export interface SpoeWriteRequest<K> {
  readonly author: string;
  /** A sentence for the history, asked for when the change has been made. */
  readonly message: () => string;
  readonly validateOnly: boolean;
  /** What is to be recorded with the change, by what that is. Default: nothing. */
  readonly along?: ((made: SpoeMade) => K) | undefined;
}

/** A change of a file, as it is made. */
export interface SpoeMade {
  readonly before: SpoeFile;
  readonly after: SpoeFile;
  /** The version that contains it; with validate only that which it was tried on. */
  readonly version: number;
}

/** A change of a file. */
export interface SpoeEdit<K> extends SpoeWriteRequest<K> {
  readonly name: string;
  /** May be asked again when somebody else wrote the file meanwhile. */
  apply(file: SpoeFile): SpoeFile;
  /** When given, the file's version must be this one. */
  readonly baseVersion: number | undefined;
}

/** A whole file to be stored. */
export interface SpoeUpload<K> extends SpoeWriteRequest<K> {
  readonly name: string;
  readonly bytes: Buffer;
  readonly etag: string;
  readonly createOnly: boolean;
  /** When given, the file's version must be this one. */
  readonly baseVersion?: number | undefined;
}

/** How often a write is begun anew because somebody else writes the file. */
const MAX_ATTEMPTS = 5;

/**
 * The SPOE files, with a version each. Writes of a file come one after another; readers never wait for them, and see the file as it was until HAProxy runs the new one. What somebody else has written is taken up
 * when it is next looked at, as a version of its own.
 */
export class SpoeFiles<A, K> {
  readonly #options: SpoeFilesOptions<A, K>;
  readonly #known = new Map<string, StoredSpoeFile>();
  readonly #writes = new KeyedSerial();
  readonly #looks = new KeyedSerial();
  /** Files that are being replaced, as they are until that is done. */
  readonly #replacing = new Map<string, StoredSpoeFile | undefined>();

  constructor(options: SpoeFilesOptions<A, K>) {
    this.#options = options;
  }

  /** The files by name. What is too large to be one, and so not of haplane's making, is left out. */
  async list(): Promise<readonly StoredSpoeFile[]> {
    const files: StoredSpoeFile[] = [];
    for (const { name, size } of await this.#options.directory.list()) {
      if (size > MAX_BYTES) continue;
      const file = await this.find(name);
      if (file !== undefined) files.push(file);
    }
    return files;
  }

  /** Looks at all files, so that what somebody else has written or removed becomes a version. */
  async look(): Promise<void> {
    const { directory, history } = this.#options;
    const listed = (await directory.list()).filter(({ size }) => size <= MAX_BYTES);
    for (const name of new Set([...listed.map(({ name: one }) => one), ...(await history.names())]))
      await this.find(name);
  }

  /** Throws `RESOURCE_NOT_FOUND`. */
  async get(name: string): Promise<StoredSpoeFile> {
    const file = await this.find(name);
    if (file === undefined) throw fileNotFound(name);
    return file;
  }

  /** A file; undefined when there is none. */
  async find(name: string): Promise<StoredSpoeFile | undefined> {
    if (this.#replacing.has(name)) return this.#replacing.get(name);
    return this.#looks.run(name, () => this.#look(name));
  }

  /** A file as it was when it was last looked at. */
  known(name: string): StoredSpoeFile | undefined {
    return this.#known.get(name);
  }

  /** Changes a file. Rejects with what `apply` throws, `RESOURCE_NOT_FOUND`, `ETAG_MISMATCH`, and what replacing rejects with. */
  change(edit: SpoeEdit<K>): Promise<SpoeOutcome<A>> {
    const { name, apply, baseVersion } = edit;
    return this.#write(name, edit, (stored) => {
      if (stored === undefined) throw fileNotFound(name);
      const { file, version } = stored;
      matchVersion(name, baseVersion, version);
      return apply(file);
    });
  }

  /** Stores a whole file. Rejects as `change` does, and with what `checkFile` throws. */
  upload(upload: SpoeUpload<K>): Promise<SpoeOutcome<A>> {
    const { name, bytes, etag, createOnly, baseVersion } = upload;
    const after = parseSpoeFile(name, bytes);
    return this.#write(name, upload, async (stored) => {
      matchVersion(name, baseVersion, stored?.version ?? 0);
      if (stored === undefined && etag !== "") throw fileNotFound(name);
      if (stored !== undefined && createOnly) throw fileExists(name);
      if (stored !== undefined) matchEtag(stored.facts, etag);
      else await this.#options.directory.check(name, { absent: true });
      checkFile(after);
      return after;
    });
  }

  /** Removes a file. Rejects with `RESOURCE_NOT_FOUND`, `ETAG_MISMATCH`, and `RESOURCE_IN_USE` while the configuration uses it. */
  async remove(name: string, etag: string, request: SpoeWriteRequest<K>): Promise<void> {
    await this.#write(name, request, (stored) => {
      if (stored === undefined) throw fileNotFound(name);
      matchEtag(stored.facts, etag);
      this.#refuseReadOnly();
      const users = this.#options.inUse(stored.facts.path);
      if (users.length > 0) throw fileInUse(name, users);
      return undefined;
    });
  }

  /** Makes a change of what a file is, anew when somebody else writes it meanwhile. */
  #write(
    name: string,
    request: SpoeWriteRequest<K>,
    change: (stored: StoredSpoeFile | undefined) => SpoeFile | undefined | Promise<SpoeFile | undefined>,
  ): Promise<SpoeOutcome<A>> {
    return this.#writes.run(name, async () => {
      for (let attempt = 1; ; attempt++) {
        const stored = await this.find(name);
        const after = await change(stored);
        try {
          return await this.#replace(name, stored, after, request);
        } catch (error) {
          if (!(error instanceof ChangedMeanwhile) || attempt === MAX_ATTEMPTS) throw error;
        }
      }
    });
  }

  async #replace(
    name: string,
    stored: StoredSpoeFile | undefined,
    after: SpoeFile | undefined,
    { author, message, validateOnly, along }: SpoeWriteRequest<K>,
  ): Promise<SpoeOutcome<A>> {
    const nothing = emptyFile(name);
    const [before, version] = [stored?.file ?? nothing, stored?.version ?? 0];
    const outcome = { before, after: after ?? nothing };
    const content = after && printSpoeFile(after);
    const digest = content && sha256(content);
    if (stored !== undefined && digest === stored.facts.sha256)
      return { before, after: before, version, applied: undefined };
    if (content !== undefined && content.length > MAX_BYTES) throw fileTooLarge(name, content.length);
    if (!validateOnly) this.#refuseReadOnly();
    const { directory, history, replace } = this.#options;
    const commit: SpoeCommit = {
      ...{ after, content, isNew: stored === undefined, author, message: message() },
      resources: changedSpoe(before, outcome.after),
      // What is owed to the history may not be in it yet.
      version: Math.max((await history.newest(name))?.number ?? 0, version) + 1,
      ...{ sha256: digest ?? stored?.facts.sha256 ?? "", size: content?.length ?? 0 },
    };
    const guard = (found: Uint8Array | undefined) => {
      if ((found && sha256(found)) !== stored?.facts.sha256) throw new ChangedMeanwhile(name);
    };
    if (!validateOnly) this.#replacing.set(name, stored);
    try {
      const kept = along?.({ ...outcome, version: commit.version });
      const applied = await replace(name, commit, { validateOnly, guard, along: kept });
      if (validateOnly) return { ...outcome, version, applied };
      const facts = await directory.facts(name);
      if (after === undefined || facts?.sha256 !== digest) this.#known.delete(name);
      else this.#known.set(name, { facts: facts!, file: after, version: commit.version });
      return { ...outcome, version: commit.version, applied };
    } finally {
      this.#replacing.delete(name);
    }
  }

  async #look(name: string): Promise<StoredSpoeFile | undefined> {
    const { directory } = this.#options;
    for (;;) {
      const facts = await directory.facts(name);
      const known = this.#known.get(name);
      if (known !== undefined && known.facts === facts) return known;
      if (facts !== undefined && facts.size > MAX_BYTES) throw fileTooLarge(name, facts.size);
      const bytes = await directory.read(name);
      // A write of ours has begun since.
      if (this.#replacing.has(name)) return this.#replacing.get(name);
      // Somebody writes it at this moment: look again.
      if ((bytes && sha256(bytes)) !== facts?.sha256) continue;
      const file = bytes && parseSpoeFile(name, bytes);
      const version = await this.#versionOf(name, file, bytes);
      if (facts === undefined || file === undefined) {
        this.#known.delete(name);
        return undefined;
      }
      const stored = { facts, file, version };
      this.#known.set(name, stored);
      return stored;
    }
  }

  /** The version of what was found: the newest that was recorded when it is that, else another, of somebody else. */
  async #versionOf(name: string, file: SpoeFile | undefined, bytes: Buffer | undefined): Promise<number> {
    const { history, readOnly } = this.#options;
    const newest = await history.newest(name);
    const digest = bytes === undefined ? "" : sha256(bytes);
    if (digest === (newest?.sha256 ?? "")) return newest?.number ?? 0;
    const version = (newest?.number ?? 0) + 1;
    if (readOnly) return version;
    const before = this.#known.get(name)?.file ?? emptyFile(name);
    await history.found(name, {
      ...{ after: file, content: bytes, version, size: bytes?.length ?? 0 },
      isNew: (newest?.sha256 ?? "") === "",
      author: "external",
      message: file === undefined ? "the file was removed by hand" : "the file was written by hand",
      resources: changedSpoe(before, file ?? emptyFile(name)),
      sha256: bytes === undefined ? (newest?.sha256 ?? "") : digest,
    });
    return version;
  }

  #refuseReadOnly(): void {
    if (this.#options.readOnly) throw onlyLooks();
  }
}

/** Somebody else has written a file since the change was made on it. */
class ChangedMeanwhile extends DomainError {
  constructor(name: string) {
    super("FILE_HELD", `${name} is being written by somebody else; try again`, { retryAfterMs: 1_000 });
  }
}

function matchEtag({ name, etag: current }: SpoeFacts, etag: string): void {
  if (etag !== "" && etag !== current) throw otherEtag(name, etag, current);
}

function matchVersion(name: string, base: number | undefined, version: number): void {
  if (base !== undefined && base !== version) throw otherVersion(name, base, version);
}

function emptyFile(name: string): SpoeFile {
  return parseSpoeFile(name, Buffer.alloc(0));
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
