import type { Logger } from "pino";
import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import type { Directories } from "./directories.ts";
import { mergePatterns } from "./edit-patterns.ts";
import type { OnFileChange } from "./file-change.ts";
import type { LiveFiles, PatternEntry, PatternFile } from "./live.ts";
import { readPatterns } from "./pattern-lines.ts";

/** What the way back from HAProxy to the files needs. */
export interface PatternSyncOptions {
  readonly directories: Pick<Directories, "maps" | "acls">;
  readonly live: LiveFiles;
  /** By path, the etag of the content that HAProxy was last brought to. */
  readonly followed: Map<string, string>;
  readonly onChange: OnFileChange;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Writes entries that others change in the running HAProxy back to the files. */
export interface PatternSync {
  start(periodMs: number): void;
  /** Looks once at every map and ACL file that HAProxy has loaded from the managed directories. */
  look(): Promise<void>;
  /** Resolves when nothing is under way any more. */
  stop(): Promise<void>;
}

/** HAProxy tells its age in whole seconds. */
const AGE_MS = 1_000;

/**
 * A file is only written when HAProxy is known to have begun from its present content: it was brought to it, or has its entries, or was started after the file was written. Otherwise somebody has edited the file, and that
 * is kept.
 */
export function createPatternSync(options: PatternSyncOptions): PatternSync {
  const { directories, live, followed, onChange, clock, logger } = options;
  let cancel = () => {};
  let looking: Promise<void> = Promise.resolve();
  let stopped = false;

  const look = async (): Promise<void> => {
    const files = await live.patternFiles.list();
    for (const kind of ["maps", "acls"] as const) {
      const directory = directories[kind];
      for (const { name, path } of await directory.list()) {
        const file = files.find((loaded) => loaded.path === path);
        if (stopped) return;
        if (file !== undefined)
          await directory.exclusively(name, () => follow(kind, name, file)).catch(warn(path));
      }
    }
  };

  const follow = async (kind: "maps" | "acls", name: string, file: PatternFile): Promise<void> => {
    const directory = directories[kind];
    const facts = await directory.facts(name);
    const bytes = await directory.read(name);
    if (facts === undefined || bytes === undefined) return;
    const text = bytes.toString("utf8");
    const loaded = await live.patternFiles.entries(file);
    const merged = mergePatterns(file.kind, text, loaded);
    if (merged === text || isSame(readPatterns(file.kind, text), loaded)) {
      followed.set(facts.path, facts.etag);
      return;
    }
    const isOlder = facts.modifyTime < (await live.startedAt()) - AGE_MS;
    if (followed.get(facts.path) !== facts.etag && !isOlder) {
      logger.debug({ path: facts.path }, "a file was edited that HAProxy has not read yet; it is left alone");
      return;
    }
    const written = await directory.writeWithin(name, Buffer.from(merged), { etag: facts.etag });
    followed.set(written.path, written.etag);
    onChange({ type: "updated", kind, facts: written, author: "external", notAfter: undefined });
    logger.info({ path: written.path }, "entries that were changed in HAProxy are written to their file");
  };

  const warn = (path: string) => (error: unknown) => {
    const isUsual = error instanceof DomainError && error.reason === "ETAG_MISMATCH";
    if (!isUsual) logger.warn({ err: error, path }, "entries cannot be written back to their file");
  };

  const start = (periodMs: number): void => {
    cancel = clock.after(periodMs, () => {
      looking = look()
        .catch((error: unknown) => logger.debug({ err: error }, "HAProxy's maps cannot be read"))
        .finally(() => {
          if (!stopped) start(periodMs);
        });
    });
  };

  return {
    start,
    look,
    async stop() {
      stopped = true;
      cancel();
      await looking;
    },
  };
}

function isSame(a: readonly PatternEntry[], b: readonly PatternEntry[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ key, value }, index) => key === b[index]!.key && value === b[index]!.value)
  );
}
