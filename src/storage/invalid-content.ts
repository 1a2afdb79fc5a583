import { DomainError } from "../lib/errors.ts";

/** The error for content that is not what its kind asks for. The description never quotes the content, which may be secret. */
export function invalidContent(description: string): DomainError {
  return new DomainError("FIELD_INVALID", `the file ${description}`, {
    violations: [{ field: "data", description }],
  });
}
