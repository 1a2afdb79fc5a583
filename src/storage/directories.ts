import { resolve } from "node:path";
import type { StorageFs } from "./file-system.ts";
import { FILE_KINDS, type FileKind, fileName, KINDS, type RootDirectories } from "./kinds.ts";
import { ManagedDirectory } from "./managed-directory.ts";
import { findOwner, type OwnerSettings } from "./owner.ts";

/** The directory of each kind. */
export type Directories = Readonly<Record<FileKind, ManagedDirectory>>;

/** What the directories are opened with. */
export interface DirectoriesOptions {
  readonly roots: RootDirectories;
  readonly owner: OwnerSettings;
  /** Nothing is made. */
  readonly readOnly: boolean;
  /** Default: Node's. */
  readonly fs?: StorageFs;
}

/** Opens the directory of every kind, making those that are missing. Throws `NOT_SUPPORTED`, naming the setting, for one that cannot be used. */
export async function openDirectories(options: DirectoriesOptions): Promise<Directories> {
  const { roots, readOnly, fs } = options;
  const owner = await findOwner(options.owner);
  const directories: Partial<Record<FileKind, ManagedDirectory>> = {};
  for (const kind of FILE_KINDS) {
    const { root, below, setting, secret } = KINDS[kind];
    directories[kind] = await ManagedDirectory.open({
      ...{ path: resolve(roots[root], below), setting, secret, owner, readOnly },
      nameOf: (name) => fileName(kind, name),
      ...(fs && { fs }),
    });
  }
  return directories as Directories;
}
