import { formatName } from "../config/name.ts";
import { DomainError } from "../lib/errors.ts";

/** The most bytes that a file may have. */
export const MAX_BYTES = 1024 * 1024;

/** Resource name of a file. */
export function fileName(name: string): string {
  return formatName("spoe", name);
}

function about(name: string) {
  return { resource: { type: "spoe file", name: fileName(name) } };
}

/** There is no file of the name. */
export function fileNotFound(name: string): DomainError {
  return new DomainError("RESOURCE_NOT_FOUND", `there is no ${fileName(name)}`, about(name));
}

/** A file that was to be made is there. */
export function fileExists(name: string): DomainError {
  return new DomainError("RESOURCE_EXISTS", `${fileName(name)} is there already`, about(name));
}

/** The file would have, or has, more bytes than one may. */
export function fileTooLarge(name: string, size: number): DomainError {
  return new DomainError("LIMIT_EXCEEDED", `${fileName(name)} has ${size} bytes`, {
    ...about(name),
    metadata: { limit: `${MAX_BYTES} bytes of a SPOE file` },
  });
}

/** The etag that was sent is not the file's. */
export function otherEtag(name: string, sent: string, current: string): DomainError {
  return new DomainError("ETAG_MISMATCH", `${fileName(name)} has changed: its etag is ${current}`, {
    ...about(name),
    metadata: { sent: sent.slice(0, 100), current },
  });
}

/** The version that was sent is not the file's. */
export function otherVersion(name: string, sent: number, current: number): DomainError {
  return new DomainError("ETAG_MISMATCH", `${fileName(name)} has version ${current}, not ${sent}`, {
    ...about(name),
    metadata: { sent: String(sent), current: String(current) },
  });
}

/** Lines of the configuration use the file: where they stand, and of which resource they are. */
export function fileInUse(
  name: string,
  users: readonly { readonly place: string; readonly resource: string }[],
): DomainError {
  return new DomainError("RESOURCE_IN_USE", `${fileName(name)} is used in ${users[0]!.place}`, {
    ...about(name),
    violations: users.map(({ place, resource }) => ({
      field: resource === "" ? place : resource,
      description: `names the file (${place})`,
    })),
  });
}

/** haplane writes nothing. */
export function onlyLooks(): DomainError {
  return new DomainError("NOT_SUPPORTED", "haplane only looks (--read-only): it writes no files", {
    metadata: { needs: "a haplane that is not read-only" },
  });
}
