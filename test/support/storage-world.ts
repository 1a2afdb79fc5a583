import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { pino } from "pino";
import { Commit } from "../../src/commit/commit.ts";
import { fileReferences } from "../../src/config/file-references.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { DomainError } from "../../src/lib/errors.ts";
import { type Directories, openDirectories } from "../../src/storage/directories.ts";
import type { StorageFs } from "../../src/storage/file-system.ts";
import type { LiveFiles } from "../../src/storage/live.ts";
import { createStorage, type Storage } from "../../src/storage/storage.ts";
import type { Stored, StoreRequest } from "../../src/storage/stored-file.ts";
import { openStore } from "../../src/store/store.ts";
import { realHaproxy } from "./real-factory.ts";

/** Where a world's files are. */
export interface StoragePaths {
  readonly sslCerts: string;
  readonly maps: string;
  readonly general: string;
}

/** How one life of haplane differs from the usual. */
export interface LifeOptions {
  readonly fs?: StorageFs;
  readonly clock?: Clock;
  readonly syncMs?: number;
  /** Stands between storage and HAProxy. */
  readonly wrap?: (live: LiveFiles) => LiveFiles;
}

/** One life of haplane over the world's files. */
export interface StorageLife {
  readonly storage: Storage;
  readonly directories: Directories;
}

/** A real HAProxy and the files beside its configuration. */
export interface StorageWorld extends AsyncDisposable {
  readonly paths: StoragePaths;
  readonly live: LiveFiles;
  reloads(): number;
  reload(): Promise<number>;
  /** Opens a storage over the files; HAProxy goes on from one life to the next. */
  begin(options?: LifeOptions): Promise<StorageLife>;
}

/** Starts an HAProxy with `configure`'s configuration, after `seed` has made the files that it reads. */
export async function storageWorld(
  configure: (paths: StoragePaths) => string,
  seed: (paths: StoragePaths) => Promise<void>,
  binary?: string,
): Promise<StorageWorld> {
  const directory = await mkdtemp(join(tmpdir(), "haplane-storage-"));
  const at = (name: string) => join(directory, name);
  const paths = { sslCerts: at("ssl"), maps: at("maps"), general: at("general") };
  for (const below of ["ssl/ca", "ssl/crl", "ssl/crt-lists", "maps/acls", "general"])
    await mkdir(at(below), { recursive: true });
  await seed(paths);
  const { haproxy, end, reloads } = await realHaproxy(directory, configure(paths), binary);
  await haproxy.start();
  const logger = pino({ level: "silent" });
  const records = await openStore(at("state"), { clock: systemClock, logger, pid: process.pid });
  const commit = await Commit.open({
    ...{ paths: [at("haproxy.cfg")], haproxy, store: records, clock: systemClock, logger },
    publishEphemeral: () => {},
  });
  await commit.start();
  const { sslFiles, patternFiles } = haproxy.runtime;
  const startedAt = async () => Date.now() - (await haproxy.runtime.info()).uptimeSeconds * 1_000;
  const live: LiveFiles = { sslFiles, patternFiles, startedAt };
  const reload = async () => {
    const outcome = await haproxy.reload();
    if (outcome.kind !== "succeeded") throw new DomainError("CONFIGURATION_REFUSED", "HAProxy refuses");
    return reloads();
  };
  return {
    ...{ paths, live, reloads, reload },
    async begin({ fs, clock = systemClock, syncMs, wrap = (it: LiveFiles) => it } = {}) {
      const directories = await openDirectories({
        ...{ roots: paths, owner: { user: undefined, group: undefined }, readOnly: false },
        ...(fs && { fs }),
      });
      const storage = createStorage({
        ...{ directories, live: wrap(live), reload, syncMs, readOnly: false, clock, logger },
        ...{ expiryNoticeMs: 0, onChange: () => {} },
        referrers: (roots) => fileReferences(commit.document, roots),
        replaceByReload: async ({ resource, author, ...file }) => {
          const how = { resources: [resource], author, message: "stores", alwaysReload: true };
          return (await commit.replaceFiles({ ...how, files: [file] })).reload;
        },
      });
      return { storage, directories };
    },
    async [Symbol.asyncDispose]() {
      await commit.stop();
      await records.close();
      await end();
      await rm(directory, { recursive: true });
    },
  };
}

/** Stores a file from one piece. */
export function store(
  storage: Storage,
  request: Pick<StoreRequest, "kind" | "name"> & Partial<StoreRequest>,
  content: string | Uint8Array,
): Promise<Stored> {
  const whole = {
    size: undefined,
    etag: "",
    createOnly: false,
    apply: "auto",
    author: "test",
    ...request,
  } as const;
  async function* pieces() {
    yield Buffer.from(content);
  }
  return storage.store(whole, pieces(), () => undefined);
}
