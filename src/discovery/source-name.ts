import { DomainError } from "../lib/errors.ts";

const SOURCE_ID = /^[a-z][a-z0-9-]{0,62}$/;

/** The resource name for the id that a creation asks for. Throws `FIELD_INVALID`. */
export function readSourceName(id: string, name: string): string {
  if (id === "" && name === "") {
    throw invalid("source_id", "is required, unless source.name is given");
  }
  const fromId = `sources/${id}`;
  if (id !== "" && !SOURCE_ID.test(id)) {
    throw invalid("source_id", "must be 1 to 63 of a-z, 0-9 and -, beginning with a letter");
  }
  if (name === "" || name === fromId) return fromId;
  if (id !== "") throw invalid("source.name", `must be "${fromId}", as source_id says, or be left out`);
  if (!name.startsWith("sources/") || !SOURCE_ID.test(name.slice("sources/".length))) {
    throw invalid("source.name", "must be sources/ and 1 to 63 of a-z, 0-9 and -, beginning with a letter");
  }
  return name;
}

function invalid(field: string, description: string): DomainError {
  return new DomainError("FIELD_INVALID", `${field} ${description}`, {
    violations: [{ field, description }],
  });
}
