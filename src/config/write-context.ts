import type { Version } from "../grammar/version.ts";
import { DomainError } from "../lib/errors.ts";
import type { Etags } from "./etag.ts";

/** What writes of resources need to know. */
export interface WriteContext {
  readonly etags: Etags;
  /** The HAProxy that will read the result; undefined: any. */
  readonly version: Version | undefined;
  /** Whether the etags that changes carry are looked at. They are not when changes that were accepted once are made again. */
  readonly etagsCount: boolean;
}

/** Runs a write and puts the path of what it writes before the fields that its errors name. */
export function atPath<T>(path: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    const { violations } = error;
    if (violations.length === 0 && error.reason !== "FIELD_INVALID") throw error;
    // What the text refuses is not said by field: it is about the resource as a whole.
    const named =
      violations.length === 0
        ? [{ field: path, description: error.message }]
        : violations.map(({ field, description }) => ({
            field: field === "" ? path : `${path}.${field}`,
            description,
          }));
    throw error.with({ message: `${named[0]!.field}: ${named[0]!.description}`, violations: named });
  }
}

/** Throws `ETAG_MISMATCH` when an etag that was sent is not the present one; an empty one always fits. */
export function matchEtag(sent: string, current: string, name: string): void {
  if (sent === "" || sent === current) return;
  throw new DomainError(
    "ETAG_MISMATCH",
    `${name} has changed: its etag is ${current}, not the one that was sent`,
    {
      resource: { type: "resource", name },
      metadata: { sent: sent.slice(0, 100), current },
    },
  );
}

/** A field's path below another path, which may be empty. */
export function joinPath(path: string, field: string): string {
  return path === "" ? field : `${path}.${field}`;
}
