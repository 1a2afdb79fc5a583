import { DomainError } from "../lib/errors.ts";

/** Longest name: what is put around it for the time of a replacement has to fit into 255 bytes as well. */
const MAX_NAME = 200;

/** A letter or digit first, so that no name is hidden, an option, or a way out of its directory; nothing that HAProxy's lines would have to quote. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.@+=-]*$/;

/** Throws `FIELD_INVALID` unless `name` can be the name of a file in a managed directory. */
export function checkFileName(name: string, field: string): void {
  const description =
    name.length > MAX_NAME
      ? `must have at most ${MAX_NAME} characters`
      : NAME.test(name)
        ? undefined
        : "must be letters, digits and _ . @ + = -, beginning with a letter, a digit or _";
  if (description === undefined) return;
  throw new DomainError("FIELD_INVALID", `${field} ${description}`, { violations: [{ field, description }] });
}

/** Whether a name could have been given by haplane; others in a directory are somebody else's and are not shown. */
export function isFileName(name: string): boolean {
  return name.length <= MAX_NAME && NAME.test(name);
}
