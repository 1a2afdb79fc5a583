import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { readIfThere, replaceFile } from "../lib/durable-file.ts";
import { makeDirectory } from "../lib/make-directory.ts";
import { requireReadable } from "../lib/regular-file.ts";
import { ROLE_NAMES, roleNamed } from "../rpc/roles.ts";
import { addToken, describeToken, parseTokens, removeToken, tokenNameProblem } from "../rpc/token-file.ts";
import { SettingsError } from "../settings/settings-error.ts";

/** What `haplane token` was asked for. */
export type TokenRequest =
  | { readonly action: "create"; readonly name: string; readonly role: string }
  | { readonly action: "delete"; readonly name: string }
  | { readonly action: "list" };

const USAGE = "haplane token create NAME ROLE | token delete NAME | token list";

/** Reads the words after `haplane token`; what is left of them are settings. Throws a SettingsError. */
export function parseTokenRequest(words: readonly string[]): {
  readonly request: TokenRequest;
  readonly rest: readonly string[];
} {
  const [action, name = "", role = ""] = words;
  if (action === "list") return { request: { action }, rest: words.slice(1) };
  if (action !== "create" && action !== "delete") throw new SettingsError(`write ${USAGE}`);
  const problem = tokenNameProblem(name);
  if (problem !== undefined) throw new SettingsError(problem);
  if (action === "delete") return { request: { action, name }, rest: words.slice(2) };
  if (roleNamed(role) === undefined) throw new SettingsError(`write a role: ${ROLE_NAMES.join(", ")}`);
  return { request: { action, name, role }, rest: words.slice(3) };
}

/** Where `haplane token` writes. */
export interface TokenOutput {
  /** What was asked for, and nothing else: it is read by scripts. */
  readonly out: (text: string) => void;
  /** What a person should know. */
  readonly note: (text: string) => void;
}

/** Lists, makes or deletes tokens in their file. A new token is printed once, and only its hash is kept. Throws a SettingsError for what the file does not allow. */
export async function runToken(
  request: TokenRequest,
  file: string,
  { out, note }: TokenOutput,
): Promise<void> {
  requireReadable(file);
  const before = await readIfThere({ readFile }, file);
  const text = before?.toString() ?? "";
  const { records, problems } = parseTokens(text);
  const [wrong] = problems;
  if (wrong !== undefined) throw new SettingsError(`${file}:${wrong.line}: ${wrong.problem}`);
  if (request.action === "list") {
    for (const record of records) out(`${describeToken(record)}\n`);
    return;
  }
  const { action, name } = request;
  const isKnown = records.some(({ caller }) => caller.name === name);
  if (action === "create" && isKnown)
    throw new SettingsError(`${file} has a token of the name ${name} already`);
  if (action === "delete" && !isKnown) throw new SettingsError(`${file} has no token of the name ${name}`);
  const token = randomBytes(32).toString("base64url");
  const after = action === "create" ? addToken(text, name, request.role, token) : removeToken(text, name);
  makeDirectory(dirname(file), 0o700);
  const outcome = await replaceFile(file, Buffer.from(after), { expected: before, mode: 0o600 });
  if (outcome.kind !== "replaced") throw new SettingsError(`${file} was changed meanwhile; try again`);
  if (action === "create") out(`${token}\n`);
  note(
    `${file} is written. A haplane that runs as a service reads it on SIGHUP (systemctl reload haplane), any other when it is started.\n`,
  );
}
