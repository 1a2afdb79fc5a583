const MAX_NAME = 512;
/** What most names are; thousands may be looked at for each change of one. */
const ORDINARY = /^\w[\w-]{0,99}$/;
/** All that Go's unicode.IsPrint, by which Consul judges a path, refuses: controls, formats, and every space but the ordinary one. */
const UNPRINTABLE = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;

/**
 * Why no query can be made for a service of this name; undefined when one can. Whoever may register in Consul may give a service any name, and one query that fails for ever must not make the
 * source look as if its registry failed.
 */
export function whyUnnameable(name: string): string | undefined {
  if (ORDINARY.test(name)) return undefined;
  if (name.length > MAX_NAME) return `its name is longer than ${MAX_NAME} characters`;
  if (!name.isWellFormed() || UNPRINTABLE.test(name)) return "its name has characters that cannot be printed";
  // Consul's HTTP server redirects such paths.
  if (name.split("/").some((part) => part === "" || part === "." || part === ".."))
    return "its name is a path that no query can have";
  return undefined;
}

/** A name for people to read, when it may be one of the above. */
export function readableName(name: string): string {
  return name.slice(0, MAX_NAME).toWellFormed();
}
