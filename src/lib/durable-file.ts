import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import * as nodeFs from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Content } from "./content.ts";
import { ifThere, saysDirectory, syncDirectory } from "./files.ts";

/** The operations that writing durably needs; tests pass their own to stop between two of them. */
export type FileSystem = Pick<
  typeof nodeFs,
  | "open"
  | "rename"
  | "link"
  | "unlink"
  | "readFile"
  | "stat"
  | "realpath"
  | "mkdir"
  | "readdir"
  | "symlink"
  | "rm"
>;

/** Begins the last part of the name of the link that keeps the former content for the time of a replacement: `.NAME.haplane-old-…`. */
export const FORMER = "old-";

/** Ends the names of what lies beside a file: in a directory of certificates HAProxy reads every file, hidden ones too, but not those that end so. */
const UNREAD = ".key";

/** How a replacement ended. */
export type Replaced =
  /** The new content is in place and durable. */
  | { readonly kind: "replaced"; readonly former?: FormerFile }
  /** Somebody else changed the file since `expected` was read. Their content is in place, ours is not. */
  | { readonly kind: "foreign" };

/** A file that was replaced, and that whoever had it open before can still write into. Whoever is given it closes it. */
export interface FormerFile {
  readonly handle: FileHandle;
  /** When it was last written, as seen before it was compared with what was expected. */
  readonly mtimeMs: number;
}

/** What a replacement may be told. */
export interface ReplaceOptions {
  /** What the file is believed to hold; when it holds anything else nothing is replaced. Undefined: it does not exist yet. */
  readonly expected: Uint8Array | Content | undefined;
  /** Permission bits of a file that does not exist yet. Default 0o600. An existing file keeps its mode, owner and group. */
  readonly mode?: number;
  /** Owner and group of a file that does not exist yet. Default: haplane's own. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** Default: Node's. */
  readonly fs?: FileSystem;
}

/**
 * Replaces a file's content in one step that survives a power loss: temporary file beside it, fsync, rename, fsync of the directory. A symbolic
 * link stays one: its target is replaced. The content is compared with `expected` just before the rename, and the former inode once more after it, so that
 * an edit that lands in between is put back in place and reported, never lost.
 */
export async function replaceFile(
  path: string,
  content: Uint8Array | Content,
  options: ReplaceOptions,
): Promise<Replaced> {
  const staged = await stageFile(path, content, options);
  return staged.place(options.expected);
}

/** A file's next content: durable in a temporary file beside it, and not in place yet. To be placed or discarded, once. */
export interface StagedFile {
  /** Puts it in place as `replaceFile` does. Where that fails the temporary file is gone. `hold`: the former file is handed over, open, where there was one. */
  place(expected: Uint8Array | Content | undefined, hold?: "hold-former"): Promise<Replaced>;
  /** Removes it. */
  discard(): Promise<void>;
}

/** Where a file really lies, and what a replacement keeps of it. */
export interface Place {
  readonly target: string;
  readonly attributes: Attributes;
}

/** Finds out what staging a file begins with: it can be asked for before the content is known. */
export async function findPlace(path: string, options: Omit<ReplaceOptions, "expected">): Promise<Place> {
  const fs = options.fs ?? nodeFs;
  const [target, attributes] = await Promise.all([
    resolveLink(fs, path),
    attributesOf(fs, path, { mode: options.mode ?? 0o600, owner: options.owner }),
  ]);
  return { target, attributes };
}

/** Does the part of `replaceFile` that does not depend on what the file holds. `place` is what `findPlace` has found a moment ago. */
export async function stageFile(
  path: string,
  content: Uint8Array | Content,
  options: Omit<ReplaceOptions, "expected">,
  place?: Place,
): Promise<StagedFile> {
  const fs = options.fs ?? nodeFs;
  const { target, attributes } = place ?? (await findPlace(path, options));
  const directory = dirname(target);
  const suffix = randomBytes(6).toString("hex");
  const temporary = join(directory, `.${basename(target)}.haplane-new-${suffix}${UNREAD}`);
  const former = join(directory, `.${basename(target)}.haplane-${FORMER}${suffix}${UNREAD}`);
  const discard = () => ifThere(fs.unlink(temporary));
  try {
    await writeSynced(fs, temporary, Content.of(content), attributes);
  } catch (error) {
    await discard();
    throw error;
  }
  return {
    discard,
    async place(expected, hold) {
      let isPlaced = false;
      let isLinked = false;
      try {
        const [now, isExpected] = await Promise.all([resolveLink(fs, path), holds(fs, target, expected)]);
        // A link that was set to another file since is somebody's edit too, whatever that holds.
        if (now !== target || !isExpected) return { kind: "foreign" };
        if (expected !== undefined) {
          await fs.link(target, former);
          isLinked = true;
        }
        await fs.rename(temporary, target);
        isPlaced = true;
        if (expected === undefined) {
          await syncDirectory(fs, directory);
          return { kind: "replaced" };
        }
        // One reads while the other waits for the disk.
        const [looked, synced] = await Promise.allSettled([
          letGo(fs, former, expected, hold !== undefined),
          syncDirectory(fs, directory),
        ]);
        if (synced.status === "rejected") {
          if (looked.status === "fulfilled") await looked.value?.former?.handle.close();
          throw synced.reason;
        }
        if (looked.status === "rejected") throw looked.reason;
        if (looked.value !== undefined) {
          isLinked = false;
          return { kind: "replaced", ...looked.value };
        }
        await fs.rename(former, target);
        await syncDirectory(fs, directory);
        return { kind: "foreign" };
      } finally {
        if (!isPlaced) await discard();
        if (isLinked) await ifThere(fs.unlink(former));
      }
    },
  };
}

/**
 * Prepares the removal of a file. It is placed as a content is: compared with `expected` just before, kept under another name, compared once more, and put back when somebody else's edit landed in between. A
 * symbolic link is removed itself.
 */
export function stageRemoval(path: string, fs: FileSystem = nodeFs): StagedFile {
  const directory = dirname(path);
  const former = join(
    directory,
    `.${basename(path)}.haplane-${FORMER}${randomBytes(6).toString("hex")}${UNREAD}`,
  );
  return {
    discard: async () => {},
    async place(expected) {
      if (!(await holds(fs, path, expected))) return { kind: "foreign" };
      if (expected === undefined) return { kind: "replaced" };
      await fs.rename(path, former);
      await syncDirectory(fs, directory);
      if (await holds(fs, former, expected)) {
        await ifThere(fs.unlink(former));
        return { kind: "replaced" };
      }
      await fs.rename(former, path);
      await syncDirectory(fs, directory);
      return { kind: "foreign" };
    },
  };
}

/** Removes the link to a replaced file that holds what was expected, which is open then if it is to be held. Undefined when it holds something else: the link stays. */
async function letGo(
  fs: FileSystem,
  path: string,
  expected: Uint8Array | Content,
  hold: boolean,
): Promise<{ readonly former?: FormerFile } | undefined> {
  const handle = await fs.open(path, constants.O_RDONLY);
  let isHeld = false;
  try {
    const { mtimeMs } = await handle.stat();
    if (!(await holdsExactly(handle, expected))) return undefined;
    await ifThere(fs.unlink(path));
    isHeld = hold;
    return hold ? { former: { handle, mtimeMs } } : {};
  } finally {
    if (!isHeld) await handle.close();
  }
}

/** Bytes that are compared at a time: large files are not to be in memory a second time. */
const PIECE_BYTES = 1_048_576;

/** Whether a file holds exactly these bytes; undefined: whether there is none. A directory holds none of them. */
export async function holds(
  fs: Pick<FileSystem, "open">,
  path: string,
  expected: Uint8Array | Content | undefined,
): Promise<boolean> {
  const file = await ifThere(fs.open(path, constants.O_RDONLY));
  if (file === undefined || expected === undefined) {
    await file?.close();
    return file === undefined && expected === undefined;
  }
  try {
    return await holdsExactly(file, expected);
  } catch (error) {
    if (saysDirectory(error)) return false;
    throw error;
  } finally {
    await file.close();
  }
}

/** What the last comparing has read into, for the next one. */
let spare: Buffer | undefined;

async function holdsExactly(file: FileHandle, expected: Uint8Array | Content): Promise<boolean> {
  const content = Content.of(expected);
  const piece = spare ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
  spare = undefined;
  try {
    for (let at = 0; ; ) {
      const { bytesRead } = await file.read(piece, 0, piece.length, at);
      if (!content.hasAt(at, piece.subarray(0, bytesRead))) return false;
      at += bytesRead;
      // Less than was asked for is where it ends.
      if (bytesRead < piece.length) return at === content.length;
    }
  } finally {
    spare = piece;
  }
}

/** Reads a file whole; undefined when there is none. */
export async function readIfThere(
  fs: Pick<FileSystem, "readFile">,
  path: string,
): Promise<Buffer | undefined> {
  return ifThere(fs.readFile(path));
}

/** Permission bits, owner and group. */
export interface Attributes {
  readonly mode: number;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

async function writeSynced(
  fs: FileSystem,
  path: string,
  content: Content,
  attributes: Attributes,
): Promise<void> {
  const file = await fs.open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    // Neither waits for the other, and nothing goes on behind the back of one that fails.
    const steps = [file.writeFile(content.blocks()), give(file, attributes)];
    await Promise.allSettled(steps);
    await Promise.all(steps);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The owner comes first: a change of owner takes bits of the mode away. */
async function give(file: FileHandle, { mode, owner }: Attributes): Promise<void> {
  if (owner !== undefined) await file.chown(owner.uid, owner.gid);
  await file.chmod(mode);
}

async function attributesOf(fs: FileSystem, path: string, otherwise: Attributes): Promise<Attributes> {
  const stat = await ifThere(fs.stat(path));
  return stat === undefined
    ? otherwise
    : { mode: stat.mode & 0o7777, owner: { uid: stat.uid, gid: stat.gid } };
}

async function resolveLink(fs: FileSystem, path: string): Promise<string> {
  return (await ifThere(fs.realpath(path))) ?? path;
}
