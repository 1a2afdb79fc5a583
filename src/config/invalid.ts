import { DomainError } from "../lib/errors.ts";

/** The refusal of one field of a request: its path, and why. */
export function invalid(field: string, description: string): DomainError {
  return new DomainError("FIELD_INVALID", `${field}: ${description}`, {
    violations: [{ field, description }],
  });
}
