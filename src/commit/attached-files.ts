import { Content } from "../lib/content.ts";
import {
  type FileSystem,
  type Place,
  readIfThere,
  type StagedFile,
  stageFile,
  stageRemoval,
} from "../lib/durable-file.ts";
import { writing } from "../lib/writing.ts";

/** A file beside the configuration that HAProxy reads, a SPOE file or a certificate say, as an edit wants it. */
export interface FileWrite {
  /** Absolute. Its directory is there. */
  readonly path: string;
  /** What it is to hold; undefined removes it. */
  readonly content: Uint8Array | undefined;
  /** Permission bits of a file that does not exist yet. Default 0o600. */
  readonly mode?: number;
  /** Owner and group of a file that does not exist yet; -1 for haplane's own. Default: haplane's own. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Called with what it holds (undefined: it does not exist) whenever the write is about to be made on that; what it throws is what the caller gets. Default: whatever it holds is replaced. */
  readonly guard?: (found: Uint8Array | undefined) => void;
}

/** A file's content, with what belongs to it. */
export interface FileContent {
  readonly content: Content;
  readonly mode: number;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

/** A file that is to hold something else; undefined is its absence. */
export interface AttachedChange {
  readonly path: string;
  readonly former: FileContent | undefined;
  readonly next: FileContent | undefined;
}

/** What replaces files: an edit. */
interface Replacing {
  readonly files?: readonly FileWrite[];
}

/** The files that edits replace, as they are, and as they become when the edits are made one after another. */
export class FileDraft {
  readonly #former: ReadonlyMap<string, FileContent | undefined>;
  readonly #next: Map<string, FileContent | undefined>;

  private constructor(former: ReadonlyMap<string, FileContent | undefined>) {
    this.#former = former;
    this.#next = new Map(former);
  }

  /** Reads the files of edits. */
  static async over(fs: FileSystem, edits: readonly (Replacing | undefined)[]): Promise<FileDraft> {
    const paths = new Set(edits.flatMap((edit) => edit?.files?.map(({ path }) => path) ?? []));
    const former = new Map<string, FileContent | undefined>();
    for (const path of paths) former.set(path, await readContent(fs, path));
    return new FileDraft(former);
  }

  /** Makes an edit's writes. Throws what a guard throws, and then changes nothing. */
  make(edit: Replacing | undefined): void {
    const files = edit?.files ?? [];
    for (const { path, guard } of files) guard?.(this.#next.get(path)?.content.bytes);
    for (const { path, content, mode = 0o600, owner } of files) {
      const kept = this.#former.get(path) ?? { mode, owner };
      this.#next.set(
        path,
        content && { content: Content.of(Buffer.from(content)), mode: kept.mode, owner: kept.owner },
      );
    }
  }

  /** What becomes of the files, those aside that stay as they are. */
  get changes(): readonly AttachedChange[] {
    return [...this.#next].flatMap(([path, next]) => {
      const former = this.#former.get(path);
      return isSame(former?.content, next?.content) ? [] : [{ path, former, next }];
    });
  }
}

/** Prepares what makes a file hold what `to` says, durably; it is placed with what it holds before. Both reject with `STORE_UNAVAILABLE` where it cannot be written. */
export async function stageContent(
  fs: FileSystem,
  path: string,
  to: FileContent | undefined,
  place?: Place,
): Promise<StagedFile> {
  const staged = await writing(path, async () =>
    to === undefined
      ? stageRemoval(path, fs)
      : stageFile(path, to.content, { fs, mode: to.mode, owner: to.owner }, place),
  );
  return { ...staged, place: (...how) => writing(path, () => staged.place(...how)) };
}

/** Gives a file its former content back, unless it holds something else than `next` by now: that is somebody's edit. */
export async function putBack(fs: FileSystem, { path, former, next }: AttachedChange): Promise<void> {
  await (await stageContent(fs, path, former)).place(next?.content);
}

/** Whether two contents are the same; undefined is the absence of a file. */
export function isSame(a: Content | undefined, b: Content | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}

async function readContent(fs: FileSystem, path: string): Promise<FileContent | undefined> {
  const bytes = await readIfThere(fs, path);
  if (bytes === undefined) return undefined;
  const { mode, uid, gid } = await fs.stat(path);
  return { content: Content.of(bytes), mode: mode & 0o7777, owner: { uid, gid } };
}
