import { DomainError } from "../lib/errors.ts";

/** What a promise was rejected with, as an error of the domain. */
export function asDomainError(error: unknown): DomainError {
  return error instanceof DomainError
    ? error
    : new DomainError("HAPROXY_UNAVAILABLE", "HAProxy could not be asked", { cause: error });
}
