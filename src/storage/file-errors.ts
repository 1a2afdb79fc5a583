import { DomainError } from "../lib/errors.ts";
import { type FileKind, fileName } from "./kinds.ts";
import type { Referrer } from "./live.ts";

/** A file has more bytes than one of its kind may have. */
export function tooLarge(maxBytes: number): DomainError {
  return new DomainError("LIMIT_EXCEEDED", `a file of this kind has at most ${maxBytes} bytes`, {
    metadata: { limit: `${maxBytes} bytes` },
  });
}

/** haplane writes nothing. */
export function notWritten(): DomainError {
  return new DomainError("NOT_SUPPORTED", "haplane only looks (--read-only): it stores no files", {
    metadata: { needs: "a start without --read-only" },
  });
}

/** There is no file of the name. */
export function noFile(kind: FileKind, name: string): DomainError {
  return new DomainError("RESOURCE_NOT_FOUND", `there is no file ${kind}/${name}`, {
    resource: { type: "file", name: fileName(kind, name) },
  });
}

/** Something names the file. */
export function inUse(kind: FileKind, name: string, referrers: readonly Referrer[]): DomainError {
  const violations = referrers.map(({ directive, file, line, resource }) => ({
    field: resource === "" ? `${file}:${line}` : resource,
    description: `names it in ${directive} (${file}:${line})`,
  }));
  const [first] = violations;
  return new DomainError("RESOURCE_IN_USE", `${first?.field} ${first?.description}`, {
    violations,
    resource: { type: "file", name: fileName(kind, name) },
  });
}
