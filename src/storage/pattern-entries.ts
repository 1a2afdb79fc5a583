import { DomainError } from "../lib/errors.ts";
import { KeyedSerial } from "../lib/keyed-serial.ts";
import type { Directories } from "./directories.ts";
import { type EntryEdit, editPatterns } from "./edit-patterns.ts";
import { noFile } from "./file-errors.ts";
import type { FileFacts } from "./known-files.ts";
import type { LiveFiles, PatternEntry } from "./live.ts";
import { type PatternKind, readPatterns, writePatternLine } from "./pattern-lines.ts";
import type { Storage } from "./storage.ts";
import type { ApplyMode, Stored } from "./stored-file.ts";

/** The kinds of files that hold entries. */
export type EntriesKind = "maps" | "acls";

/** Guard of a change, and how it is to reach HAProxy. */
export interface EntriesHow {
  /** The etag that the file has to have; empty: any. */
  readonly etag: string;
  readonly apply: ApplyMode;
  /** Who changes it. */
  readonly author: string;
}

/** The entries of a file. */
export interface ListedEntries {
  readonly entries: readonly PatternEntry[];
  readonly etag: string;
}

/** Maps and ACL files, entry by entry. What changes one goes the way of every other content; rejections as `Storage.store`. */
export interface PatternEntries {
  /** In the order of the file. Throws `RESOURCE_NOT_FOUND`. */
  list(kind: EntriesKind, name: string): Promise<ListedEntries>;
  /** As the running HAProxy has them. Throws `RESOURCE_NOT_FOUND`, and `NOT_SUPPORTED` when it has not loaded the file. */
  listRuntime(kind: EntriesKind, name: string): Promise<ListedEntries>;
  /** Throws `RESOURCE_EXISTS` or `RESOURCE_NOT_FOUND` as the edit says. */
  edit(kind: EntriesKind, name: string, edit: EntryEdit, how: EntriesHow): Promise<Stored>;
  /** Makes a file hold these entries and nothing else. */
  replace(
    kind: EntriesKind,
    name: string,
    entries: AsyncIterable<readonly PatternEntry[]>,
    how: EntriesHow,
  ): Promise<Stored>;
}

/** Makes it over the storage that the files belong to. */
export function createPatternEntries(
  storage: Storage,
  directories: Directories,
  live: Pick<LiveFiles, "patternFiles">,
): PatternEntries {
  const edits = new KeyedSerial();
  /** The entries of the file that was listed last: its pages are asked for one after another. */
  let last: { readonly facts: FileFacts; readonly entries: readonly PatternEntry[] } | undefined;

  const find = async (kind: EntriesKind, name: string, etag: string): Promise<FileFacts> => {
    const facts = await directories[kind].check(name, { etag });
    if (facts === undefined) throw noFile(kind, name);
    return facts;
  };
  const textOf = async (kind: EntriesKind, name: string) =>
    ((await directories[kind].read(name)) ?? Buffer.alloc(0)).toString("utf8");

  return {
    async list(kind, name) {
      const facts = await find(kind, name, "");
      if (last?.facts !== facts)
        last = { facts, entries: readPatterns(patternKindOf(kind), await textOf(kind, name)) };
      return { entries: last.entries, etag: facts.etag };
    },
    async listRuntime(kind, name) {
      const { etag, path } = await find(kind, name, "");
      const file = (await live.patternFiles.list()).find((loaded) => loaded.path === path);
      if (file !== undefined) return { entries: await live.patternFiles.entries(file), etag };
      throw new DomainError("NOT_SUPPORTED", "HAProxy has not loaded the file", {
        metadata: { needs: "a map or ACL of the configuration that names the file" },
      });
    },
    edit(kind, name, edit, { etag, apply, author }) {
      return edits.run(`${kind}/${name}`, async () => {
        const facts = await find(kind, name, etag);
        const text = editPatterns(patternKindOf(kind), await textOf(kind, name), edit);
        const data = Buffer.from(text);
        return storage.store(
          { kind, name, size: data.length, etag: facts.etag, createOnly: false, apply, author },
          piecesOf([data]),
          () => undefined,
        );
      });
    },
    replace(kind, name, entries, { etag, apply, author }) {
      const request = { kind, name, size: undefined, etag, createOnly: false, apply, author };
      return storage.store(request, linesOf(patternKindOf(kind), entries), () => undefined);
    },
  };
}

function patternKindOf(kind: EntriesKind): PatternKind {
  return kind === "maps" ? "map" : "acl";
}

async function* piecesOf(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

async function* linesOf(
  kind: PatternKind,
  batches: AsyncIterable<readonly PatternEntry[]>,
): AsyncGenerator<Uint8Array> {
  for await (const batch of batches)
    yield Buffer.from(batch.map((entry) => `${writePatternLine(kind, entry)}\n`).join(""));
}
