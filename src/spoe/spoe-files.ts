import { createHash } from "node:crypto";
import { formatName } from "../config/name.ts";
import { DomainError } from "../lib/errors.ts";
import { Serial } from "../lib/serial.ts";
import { checkFile } from "./check-file.ts";
import { parseSpoeFile, printSpoeFile, type SpoeFile } from "./spoe-file.ts";

/** The most bytes that a file may have. */
export const MAX_BYTES = 1024 * 1024;

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
  /** Throws `RESOURCE_NOT_FOUND`, `ETAG_MISMATCH`. */
  remove(name: string, expected: { readonly etag: string }): Promise<void>;
}

/** How HAProxy came to a file. */
export interface SpoePublished<A> {
  readonly applied: A;
  /** Undefined when nothing was to be changed. */
  readonly facts: SpoeFacts | undefined;
}

/** Makes a content the file that HAProxy runs, or rejects with everything as before. */
export type PublishSpoe<A> = (request: {
  readonly file: SpoeFile;
  readonly bytes: Buffer;
  /** The file as it must be: undefined for one that must not be there yet. */
  readonly former: SpoeFacts | undefined;
  readonly validateOnly: boolean;
}) => Promise<SpoePublished<A>>;

/** What files are kept by. */
export interface SpoeFilesOptions<A> {
  readonly directory: SpoeDirectory;
  /** Values that survive a restart, by name. */
  readonly memory: {
    get(name: string): Promise<Uint8Array | undefined>;
    put(name: string, value: Uint8Array): Promise<void>;
    delete(name: string): Promise<void>;
  };
  readonly publish: PublishSpoe<A>;
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
export interface SpoeOutcome<A> {
  readonly before: SpoeFile;
  readonly after: SpoeFile;
  /** The version that contains it; with validate only that which it was tried on. */
  readonly version: number;
  /** Undefined when nothing differs. */
  readonly applied: A | undefined;
}

/** A change of a file. */
export interface SpoeEdit {
  readonly name: string;
  apply(file: SpoeFile): SpoeFile;
  readonly validateOnly: boolean;
  /** When given, the file's version must be this one. */
  readonly baseVersion: number | undefined;
}

/** A whole file to be stored. */
export interface SpoeUpload {
  readonly name: string;
  readonly bytes: Buffer;
  readonly etag: string;
  readonly createOnly: boolean;
  readonly validateOnly: boolean;
}

/** The SPOE files, with a version each. What somebody else has written is taken up when it is next looked at, as a version of its own. */
export class SpoeFiles<A> {
  readonly #options: SpoeFilesOptions<A>;
  readonly #known = new Map<string, StoredSpoeFile>();
  readonly #serial = new Serial();

  constructor(options: SpoeFilesOptions<A>) {
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

  /** Throws `RESOURCE_NOT_FOUND`. */
  async get(name: string): Promise<StoredSpoeFile> {
    const file = await this.find(name);
    if (file === undefined) throw notFound(name);
    return file;
  }

  /** A file; undefined when there is none. */
  find(name: string): Promise<StoredSpoeFile | undefined> {
    return this.#serial.run(() => this.#look(name));
  }

  /** A file as it was when it was last looked at. */
  known(name: string): StoredSpoeFile | undefined {
    return this.#known.get(name);
  }

  /** Changes a file. Rejects with what `apply` throws, `RESOURCE_NOT_FOUND`, `ETAG_MISMATCH`, and what publishing rejects with. */
  change({ name, apply, validateOnly, baseVersion }: SpoeEdit): Promise<SpoeOutcome<A>> {
    return this.#serial.run(async () => {
      const stored = await this.#look(name);
      if (stored === undefined) throw notFound(name);
      const { file: before, version, facts } = stored;
      if (baseVersion !== undefined && baseVersion !== version)
        throw otherVersion(name, baseVersion, version);
      return this.#write(before, apply(before), facts, version, validateOnly);
    });
  }

  /** Stores a whole file. Rejects as `change` does, and with what `checkFile` throws. */
  upload({ name, bytes, etag, createOnly, validateOnly }: SpoeUpload): Promise<SpoeOutcome<A>> {
    return this.#serial.run(async () => {
      const after = parseSpoeFile(name, bytes);
      const stored = await this.#look(name);
      if (stored === undefined && etag !== "") throw notFound(name);
      if (stored !== undefined && createOnly)
        throw new DomainError("RESOURCE_EXISTS", `there is a ${nameOf(name)} already`, about(name));
      if (stored !== undefined && etag !== "" && etag !== stored.facts.etag)
        throw otherEtag(name, etag, stored.facts.etag);
      checkFile(after);
      const before = stored?.file ?? parseSpoeFile(name, Buffer.alloc(0));
      return this.#write(before, after, stored?.facts, stored?.version ?? 0, validateOnly);
    });
  }

  /** Removes a file. Rejects with `RESOURCE_NOT_FOUND`, `ETAG_MISMATCH`, and `RESOURCE_IN_USE` while the configuration uses it. */
  remove(name: string, etag: string): Promise<void> {
    return this.#serial.run(async () => {
      const stored = await this.#look(name);
      if (stored === undefined) throw notFound(name);
      if (etag !== "" && etag !== stored.facts.etag) throw otherEtag(name, etag, stored.facts.etag);
      this.#refuseReadOnly();
      const users = this.#options.inUse(stored.facts.path);
      if (users.length > 0)
        throw new DomainError("RESOURCE_IN_USE", `${nameOf(name)} is used in ${users[0]!.place}`, {
          ...about(name),
          violations: users.map(({ place, resource }) => ({
            field: resource === "" ? place : resource,
            description: `names the file (${place})`,
          })),
        });
      await this.#options.directory.remove(name, { etag: stored.facts.etag });
      this.#known.delete(name);
      await this.#options.memory.delete(memoryOf(name));
    });
  }

  async #look(name: string): Promise<StoredSpoeFile | undefined> {
    const { directory } = this.#options;
    for (;;) {
      const facts = await directory.facts(name);
      const known = this.#known.get(name);
      if (facts === undefined) {
        this.#known.delete(name);
        return undefined;
      }
      if (known?.facts === facts) return known;
      if (facts.size > MAX_BYTES) throw tooLarge(name, facts.size);
      const bytes = await directory.read(name);
      // Somebody writes it at this moment: look again.
      if (bytes === undefined || sha256(bytes) !== facts.sha256) continue;
      const version = await this.#versionOf(facts);
      const stored = { facts, file: parseSpoeFile(name, bytes), version };
      this.#known.set(name, stored);
      return stored;
    }
  }

  /** The version of a content: the one that was recorded with it, else the next. */
  async #versionOf({ name, sha256: digest }: SpoeFacts): Promise<number> {
    const bytes = await this.#options.memory.get(memoryOf(name));
    const recorded = bytes && (JSON.parse(Buffer.from(bytes).toString("utf8")) as Recorded);
    if (recorded?.sha256 === digest) return recorded.version;
    const version = (recorded?.version ?? 0) + 1;
    await this.#record(name, { version, sha256: digest });
    return version;
  }

  async #write(
    before: SpoeFile,
    after: SpoeFile,
    former: SpoeFacts | undefined,
    version: number,
    validateOnly: boolean,
  ): Promise<SpoeOutcome<A>> {
    const bytes = printSpoeFile(after);
    if (former !== undefined && sha256(bytes) === former.sha256)
      return { before, after: before, version, applied: undefined };
    if (bytes.length > MAX_BYTES) throw tooLarge(after.name, bytes.length);
    if (!validateOnly) this.#refuseReadOnly();
    const { applied, facts } = await this.#options.publish({ file: after, bytes, former, validateOnly });
    if (facts === undefined) return { before, after, version, applied };
    const stored = { facts, file: after, version: version + 1 };
    this.#known.set(after.name, stored);
    // When this is lost, the content is taken for somebody else's at the next start and gets the same version.
    await this.#record(after.name, { version: stored.version, sha256: facts.sha256 });
    return { before, after, version: stored.version, applied };
  }

  #refuseReadOnly(): void {
    if (this.#options.readOnly)
      throw new DomainError("NOT_SUPPORTED", "haplane only looks (--read-only): it writes no files", {
        metadata: { needs: "a haplane that is not read-only" },
      });
  }

  async #record(name: string, recorded: Recorded): Promise<void> {
    await this.#options.memory.put(memoryOf(name), Buffer.from(JSON.stringify(recorded)));
  }
}

interface Recorded {
  readonly version: number;
  readonly sha256: string;
}

function memoryOf(name: string): string {
  return `spoe/${name}`;
}

function nameOf(name: string): string {
  return formatName("spoe", name);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function about(name: string) {
  return { resource: { type: "spoe file", name: nameOf(name) } };
}

function notFound(name: string): DomainError {
  return new DomainError("RESOURCE_NOT_FOUND", `there is no ${nameOf(name)}`, about(name));
}

function tooLarge(name: string, size: number): DomainError {
  return new DomainError("LIMIT_EXCEEDED", `${nameOf(name)} has ${size} bytes`, {
    ...about(name),
    metadata: { limit: `${MAX_BYTES} bytes of a SPOE file` },
  });
}

function otherEtag(name: string, sent: string, current: string): DomainError {
  return new DomainError("ETAG_MISMATCH", `${nameOf(name)} has changed: its etag is ${current}`, {
    ...about(name),
    metadata: { sent: sent.slice(0, 100), current },
  });
}

function otherVersion(name: string, sent: number, current: number): DomainError {
  return new DomainError("ETAG_MISMATCH", `${nameOf(name)} has version ${current}, not ${sent}`, {
    ...about(name),
    metadata: { sent: String(sent), current: String(current) },
  });
}
