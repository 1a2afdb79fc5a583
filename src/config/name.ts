import { DomainError } from "../lib/errors.ts";

/**
 * Resource names: collection and id by turns, `backends/web/servers/a`. Ids are percent-encoded where they hold anything but
 * HAProxy's own name characters, since the synthesized ones of binds may hold `/`. This is the only module that splits a name.
 */

/** The characters of an id that are encoded in a resource name: all but HAProxy's name characters, and the `@` of synthesized ids. */
const ENCODED = /[^A-Za-z0-9_.:@-]/gu;

/** Writes a name from collection and id by turns: `formatName("backends", "web", "servers", "a")`. */
export function formatName(...parts: readonly string[]): string {
  return parts.map((part, index) => (index % 2 === 0 ? part : encodeId(part))).join("/");
}

/**
 * Reads a name against a pattern of collections, such as `backends/{backend}/servers/{server}`, and returns the ids in order.
 * Throws `FIELD_INVALID` for `field` when the name is anything else.
 */
export function parseName(name: string, pattern: string, field: string): string[] {
  const expected = pattern.split("/");
  const found = name.split("/");
  const ids: string[] = [];
  let matches = found.length === expected.length;
  for (let i = 0; matches && i < expected.length; i++) {
    const want = expected[i] as string;
    const have = found[i] as string;
    if (!want.startsWith("{")) {
      matches = want === have;
      continue;
    }
    const id = decodeId(have);
    matches = id !== undefined && id !== "";
    if (id !== undefined) ids.push(id);
  }
  if (matches) return ids;
  throw new DomainError("FIELD_INVALID", `"${printableName(name)}" is not a name of the form ${pattern}`, {
    violations: [
      {
        field,
        description: `must have the form ${pattern}, each part percent-encoded; found "${printableName(name)}"`,
      },
    ],
  });
}

/** Takes a name apart without expecting a form of it: every other part is decoded. Undefined when a part is empty or wrongly encoded. */
export function splitName(name: string): string[] | undefined {
  const parts = name.split("/");
  for (let i = 0; i < parts.length; i++) {
    const part = i % 2 === 0 || !parts[i]!.includes("%") ? parts[i] : decodeId(parts[i]!);
    if (part === undefined || part === "") return undefined;
    parts[i] = part;
  }
  return parts;
}

/** A hostile name in a message: no control characters, and not longer than helps. */
export function printableName(name: string): string {
  const clean = name.replace(/[^\x20-\x7e]/gu, "?");
  return clean.length > 120 ? `${clean.slice(0, 120)}…` : clean;
}

/** An id without any of them, which is what most are: it costs half as much to ask for the whole as to look for one. */
const ALL_PLAIN = /^[A-Za-z0-9_.:@-]*$/;

function encodeId(id: string): string {
  if (ALL_PLAIN.test(id)) return id;
  return id.replace(ENCODED, (character) => encodeURIComponent(character));
}

function decodeId(id: string): string | undefined {
  try {
    return decodeURIComponent(id);
  } catch {
    return undefined;
  }
}
