import { basename, dirname } from "node:path";
import { DomainError } from "../lib/errors.ts";
import { ifThere } from "../lib/files.ts";
import type { StorageFs } from "./file-system.ts";
import type { FileFacts } from "./known-files.ts";

/** Gives the resource name of a file, for errors. */
export type ResourceNames = (name: string) => string;

/** Guards of a write. */
export interface Expected {
  /** The etag that the file has to have. Undefined or empty: any, and none as well. */
  readonly etag?: string;
  /** The file must not be there yet. */
  readonly absent?: boolean;
}

/** Throws `ETAG_MISMATCH`, `RESOURCE_EXISTS` or `RESOURCE_NOT_FOUND` unless a file is as expected. `facts`, which are returned, are what is known of it; `nameOf` gives resource names. */
export async function checkExpected(
  fs: StorageFs,
  path: string,
  facts: FileFacts | undefined,
  { etag = "", absent = false }: Expected,
  nameOf: ResourceNames,
): Promise<FileFacts | undefined> {
  const resource = { type: "file", name: nameOf(basename(path)) };
  if (facts === undefined) {
    const there = await ifThere(fs.lstat(path));
    if (there !== undefined)
      throw new DomainError("RESOURCE_EXISTS", `${path} is there and no regular file, so it is left alone`, {
        resource,
      });
    if (etag !== "") throw new DomainError("RESOURCE_NOT_FOUND", `there is no ${path}`, { resource });
    await checkCase(fs, path, nameOf);
    return undefined;
  }
  if (absent) throw new DomainError("RESOURCE_EXISTS", `${path} is there already`, { resource });
  if (etag !== "" && etag !== facts.etag)
    throw new DomainError("ETAG_MISMATCH", `${path} has changed: its etag is ${facts.etag}`, {
      resource,
      metadata: { sent: etag, current: facts.etag },
    });
  return facts;
}

/** Two names that differ in case only are one file on other systems, and a trap on this one. */
async function checkCase(fs: StorageFs, path: string, nameOf: ResourceNames): Promise<void> {
  const [directory, name] = [dirname(path), basename(path)];
  const lower = name.toLowerCase();
  const clash = (await fs.readdir(directory)).find(
    (other) => other !== name && other.toLowerCase() === lower,
  );
  if (clash === undefined) return;
  throw new DomainError("RESOURCE_EXISTS", `${clash} is there already, a name that differs in case only`, {
    resource: { type: "file", name: nameOf(clash) },
  });
}

/** Says that somebody else was quicker. */
export function changedMeanwhile(path: string, resource: string): DomainError {
  return new DomainError("ETAG_MISMATCH", `${path} was changed by somebody else in the meantime`, {
    resource: { type: "file", name: resource },
    metadata: { sent: "", current: "" },
  });
}
