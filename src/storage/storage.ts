import type { Logger } from "pino";
import type { Clock } from "../lib/clock.ts";
import { writing } from "../lib/writing.ts";
import { type ApplyOptions, createApply } from "./apply.ts";
import { checkContent } from "./check-content.ts";
import { contentWithoutKeys, wholeContent } from "./content.ts";
import type { Directories } from "./directories.ts";
import { createExpiryWatch, type Expiry } from "./expiry.ts";
import type { OnFileChange } from "./file-change.ts";
import { certificatesOf } from "./file-details.ts";
import { inUse, noFile, notWritten, tooLarge } from "./file-errors.ts";
import { invalidContent } from "./invalid-content.ts";
import { FILE_KINDS, type FileKind, KINDS } from "./kinds.ts";
import type { FileFacts } from "./known-files.ts";
import type { LiveFiles, PatternFile, ReloadFiles, ReplaceByReload } from "./live.ts";
import { needing } from "./needed.ts";
import { createPatternSync } from "./pattern-sync.ts";
import { type ConfigurationReferrers, createReferrers } from "./referrers.ts";
import type { StagedFile } from "./staged-file.ts";
import type { ApplyMode, Content, FileApplied, Stored, StoredFile, StoreRequest } from "./stored-file.ts";

/** What storage is built from. */
export interface StorageOptions {
  readonly directories: Directories;
  readonly live: LiveFiles;
  readonly referrers: ConfigurationReferrers;
  readonly reload: ReloadFiles;
  readonly replaceByReload: ReplaceByReload;
  /** How often entries that others change in the running HAProxy are written back to their files; undefined: never. */
  readonly syncMs: number | undefined;
  /** How long before its end a certificate is near it, in milliseconds. */
  readonly expiryNoticeMs: number;
  readonly onChange: OnFileChange;
  /** Nothing may be written. */
  readonly readOnly: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Guards of a removal, and how HAProxy is to forget the file. */
export interface DeleteHow {
  readonly etag: string;
  /** Although something names it. */
  readonly force: boolean;
  readonly apply: ApplyMode;
  readonly author: string;
}

/** The files that HAProxy reads beside its configuration. */
export interface Storage {
  /** Brings HAProxy to the files that a former process had replaced and perhaps not applied. HAProxy has been started. */
  start(): Promise<void>;
  /** Ends what goes on by itself. */
  stop(): Promise<void>;
  /**
   * Stores a file from pieces; `checksum` is asked when they have all come. Resolves when HAProxy has it. Rejects with everything as before: `FIELD_INVALID` for content that is not what it is said to be, `LIMIT_EXCEEDED`,
   * `ETAG_MISMATCH`, `RESOURCE_EXISTS`, `RESOURCE_NOT_FOUND`, `STORE_UNAVAILABLE`, `HAPROXY_UNAVAILABLE`, and what a reload rejects with.
   */
  store(
    request: StoreRequest,
    pieces: AsyncIterable<Uint8Array>,
    checksum: () => string | undefined,
  ): Promise<Stored>;
  /** Throws `RESOURCE_NOT_FOUND`. */
  get(kind: FileKind, name: string): Promise<StoredFile>;
  /** The files of a kind, or of all, by kind and name; without what is known of each only to `describe`. */
  list(
    kind: FileKind | undefined,
  ): Promise<readonly { readonly kind: FileKind; readonly facts: FileFacts }[]>;
  /** All that is known of some files. */
  describe(files: readonly { readonly kind: FileKind; readonly facts: FileFacts }[]): Promise<StoredFile[]>;
  /** The content for whoever may read it, private keys left out. Throws `RESOURCE_NOT_FOUND`, `ETAG_MISMATCH`. */
  open(kind: FileKind, name: string, etag: string): Promise<Content>;
  /** Throws `RESOURCE_NOT_FOUND`, `ETAG_MISMATCH`, and `RESOURCE_IN_USE` while something names the file, unless forced. */
  delete(kind: FileKind, name: string, how: DeleteHow): Promise<FileApplied>;
  /** The end of every certificate. */
  expiries(): Promise<readonly Expiry[]>;
}

/** Makes the storage over opened directories; `start` has to be called before anything is stored. */
export function createStorage(options: StorageOptions): Storage {
  const { directories, live, readOnly, clock, onChange } = options;
  const referrersOf = createReferrers(directories, options.referrers);
  const followed = new Map<string, string>();
  const apply = createApply({ ...options, referrersOf, followed } satisfies ApplyOptions);
  const sync = createPatternSync({ ...options, followed });
  const expiry = createExpiryWatch({ ...options, noticeMs: options.expiryNoticeMs });

  const store: Storage["store"] = async (request, pieces, checksum) => {
    if (readOnly) throw notWritten();
    const { kind, name, createOnly: absent, etag } = request;
    const directory = directories[kind];
    const startedAt = clock.monotonic();
    directory.pathOf(name, "storage_name");
    // What cannot be stored need not be sent.
    await directory.check(name, { etag, absent });
    const staged = await directory.stage();
    try {
      const content = await writing(directory.path, async () => {
        await receive(staged, pieces, request);
        return staged.seal(directory.attributes);
      });
      const expected = checksum();
      if (expected !== undefined && expected.toLowerCase() !== content.sha256)
        throw invalidContent(`has the SHA-256 ${content.sha256}, not the one it is said to have`);
      await checkContent({
        ...{ kind, name, staged },
        read: (other) => directory.read(other),
        now: clock.now(),
      });
      return await directory.exclusively(name, async () => {
        const former = await directory.check(name, { etag, absent });
        const applied = await apply.replace({
          ...{ kind, name, mode: request.apply, author: request.author },
          ...{ staged, content, former },
        });
        const [file] = await describe([{ kind, facts: applied.facts }]);
        if (applied.facts !== former) {
          onChange({
            ...{ kind, facts: applied.facts, author: request.author },
            type: former === undefined ? "added" : "updated",
            notAfter: file!.certificates[0]?.notAfter,
          });
          if (kind === "certificates") expiry.look();
        }
        const tookMs = clock.monotonic() - startedAt;
        return { file: file!, applied: { ...applied.applied, tookMs } satisfies FileApplied };
      });
    } finally {
      await staged.discard();
    }
  };

  const list: Storage["list"] = async (kind) => {
    const kinds = kind === undefined ? FILE_KINDS : [kind];
    const lists = await Promise.all(
      kinds.map(async (one) => (await directories[one].list()).map((facts) => ({ kind: one, facts }))),
    );
    return lists.flat();
  };

  const describe: Storage["describe"] = async (files) => {
    const referrers = await referrersOf();
    const patterns = files.some(({ kind }) => isPatterns(kind)) ? await loadedPatterns() : new Map();
    const described: StoredFile[] = [];
    for (const { kind, facts } of files) {
      const pattern: PatternFile | undefined = patterns.get(facts.path);
      described.push({
        ...{ kind, facts, pattern },
        description:
          isPatterns(kind) && pattern === undefined
            ? `managed but not loaded ${kind === "maps" ? "map" : "ACL"} file (no runtime ID)`
            : KINDS[kind].description,
        referrers: referrers(kind, facts.name),
        certificates: await certificatesOf(directories[kind], kind, facts),
      });
    }
    return described;
  };

  /** HAProxy that does not answer has nothing loaded as far as anyone knows. */
  const loadedPatterns = async (): Promise<ReadonlyMap<string, PatternFile>> => {
    const loaded = await live.patternFiles.list().catch(() => []);
    return new Map(loaded.map((file) => [file.path, file]));
  };

  const find = async (kind: FileKind, name: string, etag = ""): Promise<FileFacts> => {
    const directory = directories[kind];
    if ((await directory.facts(name)) === undefined) throw noFile(kind, name);
    const facts = await directory.check(name, { etag });
    if (facts === undefined) throw noFile(kind, name);
    return facts;
  };

  return {
    async start() {
      expiry.start();
      if (readOnly) return;
      await apply.recover();
      if (options.syncMs !== undefined) sync.start(options.syncMs);
    },
    async stop() {
      await Promise.all([expiry.stop(), sync.stop()]);
    },
    expiries: () => expiry.list(),
    store,
    async get(kind, name) {
      const [file] = await describe([{ kind, facts: await find(kind, name) }]);
      return file!;
    },
    list,
    describe,
    async open(kind, name, etag) {
      const directory = directories[kind];
      const facts = await find(kind, name, etag);
      const [file] = await describe([{ kind, facts }]);
      const content = KINDS[kind].hidesKeys
        ? await contentWithoutKeys(directory, facts)
        : wholeContent(directory, facts);
      return { file: file!, ...content };
    },
    async delete(kind, name, { etag, force, apply: mode, author }) {
      if (readOnly) throw notWritten();
      const startedAt = clock.monotonic();
      const facts = await find(kind, name, etag);
      const referrers = (await referrersOf())(kind, name);
      const needy = force ? [] : await needing(directories[kind], kind, name, referrers);
      if (needy.length > 0) throw inUse(kind, name, needy);
      const applied = await apply.remove({ kind, facts, mode, author });
      onChange({ type: "removed", kind, facts, author, notAfter: undefined });
      return { ...applied, tookMs: clock.monotonic() - startedAt };
    },
  };
}

async function receive(
  staged: StagedFile,
  pieces: AsyncIterable<Uint8Array>,
  { kind, size }: StoreRequest,
): Promise<void> {
  const { maxBytes } = KINDS[kind];
  const most = Math.min(size ?? maxBytes, maxBytes);
  if (size !== undefined && size > maxBytes) throw tooLarge(maxBytes);
  for await (const piece of pieces) {
    if (staged.size + piece.length > most)
      throw size === undefined || size > maxBytes
        ? tooLarge(maxBytes)
        : invalidContent(`is longer than ${size} bytes`);
    await staged.write(piece);
  }
  if (size !== undefined && staged.size !== size)
    throw invalidContent(`has ${staged.size} bytes, not the ${size} it is said to have`);
}

function isPatterns(kind: FileKind): boolean {
  return kind === "maps" || kind === "acls";
}
