import { formatName, printableName, splitName } from "../config/name.ts";
import { DomainError } from "../lib/errors.ts";

/** A resource name of a SPOE file, taken apart. */
export interface SpoeName {
  readonly file: string;
  readonly scope: string;
  /** The name in the scope, such as `agents/a`; empty for the scope itself. */
  readonly inner: string;
}

/** Reads the name of a scope, or of what is in one. Throws `FIELD_INVALID` for `field`. */
export function readSpoeName(name: string, field: string): SpoeName {
  const parts = splitName(name);
  const fits = parts?.[0] === "spoe" && parts[2] === "scopes" && (parts.length === 4 || parts.length === 6);
  if (parts === undefined || !fits)
    throw wrongName(
      name,
      field,
      "spoe/{file}/scopes/{scope}, or that and agents/{agent}, groups/{group} or messages/{message}",
    );
  return {
    file: parts[1]!,
    scope: parts[3]!,
    inner: parts.length === 4 ? "" : formatName(parts[4]!, parts[5]!),
  };
}

/** Reads the name of a file. Throws `FIELD_INVALID` for `field`. */
export function readFileName(name: string, field: string): string {
  const parts = splitName(name);
  if (parts?.length === 2 && parts[0] === "spoe") return parts[1]!;
  throw wrongName(name, field, "spoe/{file}");
}

/** The file that a transaction is on. Throws `FIELD_INVALID` for `field`. */
export function fileOfTransaction(name: string, field: string): string {
  const parts = splitName(name);
  if (parts?.length === 4 && parts[0] === "spoe" && parts[2] === "transactions") return parts[1]!;
  throw wrongName(name, field, "spoe/{file}/transactions/{transaction}");
}

/** Whether a name is meant to be that of a version of a file. */
export function isVersionName(name: string): boolean {
  return splitName(name)?.[2] === "versions";
}

/** A version of a file. Throws `FIELD_INVALID` for `field`. */
export function readVersionName(
  name: string,
  field: string,
): { readonly file: string; readonly number: number } {
  const parts = splitName(name);
  const isNumber = parts !== undefined && /^[1-9]\d{0,14}$/.test(parts[3] ?? "");
  if (isNumber && parts.length === 4 && parts[0] === "spoe" && parts[2] === "versions")
    return { file: parts[1]!, number: Number(parts[3]) };
  throw wrongName(name, field, "spoe/{file}/versions/{number}");
}

/** What is to be listed: the scopes of a file, all of a scope, or one of its collections. Throws `FIELD_INVALID` for `field`. */
export function readSpoeParent(
  name: string,
  field: string,
): { readonly file: string; readonly scope: string; readonly collection: string } {
  const parts = splitName(name);
  const fits = parts?.[0] === "spoe" && parts[2] === "scopes" && parts.length >= 3 && parts.length <= 5;
  if (parts === undefined || !fits)
    throw wrongName(
      name,
      field,
      "spoe/{file}/scopes, spoe/{file}/scopes/{scope}, or that and agents, groups or messages",
    );
  return { file: parts[1]!, scope: parts[3] ?? "", collection: parts[4] ?? "" };
}

/** Writes the name of a scope. */
export function scopeName(file: string, scope: string): string {
  return formatName("spoe", file, "scopes", scope);
}

function wrongName(name: string, field: string, form: string): DomainError {
  const description = `must have the form ${form}, each id percent-encoded; found "${printableName(name)}"`;
  return new DomainError("FIELD_INVALID", `${field}: ${description}`, {
    violations: [{ field, description }],
  });
}
