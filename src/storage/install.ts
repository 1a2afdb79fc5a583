import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { ifThere, syncDirectory } from "../lib/files.ts";
import { writing } from "../lib/writing.ts";
import { changedMeanwhile, type ResourceNames } from "./expected.ts";
import { isFileName } from "./file-name.ts";
import type { StorageFs } from "./file-system.ts";
import type { FileFacts, KnownFiles } from "./known-files.ts";
import {
  type ContentFacts,
  type FileAttributes,
  RESERVED,
  STAGED_PREFIX,
  type StagedFile,
} from "./staged-file.ts";

/** Where files are put. */
export interface Place {
  readonly directory: string;
  readonly fs: StorageFs;
  readonly known: KnownFiles;
  readonly attributes: FileAttributes;
  readonly nameOf: ResourceNames;
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

/**
 * Puts a sealed file in place of `former`, which `check` has found, in one step that survives a power loss. Throws `ETAG_MISMATCH` when somebody else was quicker; what they wrote
 * is in place then.
 */
export async function install(
  place: Place,
  name: string,
  staged: StagedFile,
  content: ContentFacts,
  former: FileFacts | undefined,
): Promise<Installed> {
  const { directory, fs, known, attributes, nameOf } = place;
  const path = join(directory, name);
  const link = join(directory, `${FORMER_PREFIX}${randomBytes(6).toString("hex")}-${name}${RESERVED}`);
  return writing(directory, async () => {
    const undo = async () => {
      known.forget(name);
      await (former === undefined ? ifThere(fs.unlink(path)) : fs.rename(link, path));
      await syncDirectory(fs, directory);
    };
    if (former !== undefined) {
      const kept = known.ownerOf(name);
      // Without an owner by setting the former file's stays.
      if (kept !== undefined) await staged.own(attributes.uid ?? kept.uid, attributes.gid ?? kept.gid);
      await fs.link(path, link);
    }
    let isInPlace = false;
    try {
      await fs.rename(staged.path, path);
      isInPlace = true;
      await syncDirectory(fs, directory);
      if (former !== undefined && !(await known.isLinkTo(link, former))) {
        throw changedMeanwhile(path, nameOf(name));
      }
      const stat = await fs.lstat(path, { bigint: true });
      const facts = known.remember(name, stat, content);
      const keep = async () => void (former !== undefined && (await ifThere(fs.unlink(link))));
      return { facts, undo, keep };
    } catch (error) {
      if (isInPlace) await undo();
      else await ifThere(fs.unlink(link));
      throw error;
    }
  });
}

/** Removes what a former process staged and never installed, and tells what it installed and never kept. For the start, before anything is written. */
export async function findInterrupted({ directory, fs, known }: Place): Promise<readonly Interrupted[]> {
  const found: Interrupted[] = [];
  for (const entry of await fs.readdir(directory)) {
    const path = join(directory, entry);
    if (entry.startsWith(STAGED_PREFIX)) await ifThere(fs.unlink(path));
    const name = FORMER.exec(entry)?.[1];
    if (name !== undefined && isFileName(name))
      found.push({
        name,
        keep: async () => void (await ifThere(fs.unlink(path))),
        undo: async () => {
          known.forget(name);
          await fs.rename(path, join(directory, name));
          await syncDirectory(fs, directory);
        },
      });
  }
  return found;
}
