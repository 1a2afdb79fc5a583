import { hashToken, type TokenRecord } from "./auth.ts";
import { ROLE_NAMES, roleName, roleNamed } from "./roles.ts";

/** What stands at the top of a file of tokens. */
const HEADER = "# Tokens of haplane: name, role, SHA-256 of the token. `haplane token` writes them.\n";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;
const LINE = /^(\S+)\s+(\S+)\s+sha256:([0-9a-f]{64})$/;

/** What is wrong with a line of a file of tokens. */
export interface TokenProblem {
  readonly line: number;
  readonly problem: string;
}

/** Reads a file of tokens: `NAME ROLE sha256:HASH`, one a line, beside comments and empty lines. */
export function parseTokens(text: string): { records: TokenRecord[]; problems: TokenProblem[] } {
  const records: TokenRecord[] = [];
  const problems: TokenProblem[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const [, name = "", word = "", hash = ""] = LINE.exec(line) ?? [];
    const role = roleNamed(word);
    const problem = problemOf(name, role !== undefined, records);
    if (problem !== undefined) problems.push({ line: index + 1, problem });
    else if (role !== undefined) records.push({ caller: { name, role }, sha256: Buffer.from(hash, "hex") });
  }
  return { records, problems };
}

/** Adds a token to the text of a file. */
export function addToken(text: string, name: string, word: string, token: string): string {
  const hash = Buffer.from(hashToken(token)).toString("hex");
  const before = text === "" ? HEADER : text.endsWith("\n") ? text : `${text}\n`;
  return `${before}${name} ${word} sha256:${hash}\n`;
}

/** Removes the token of a name from the text of a file. */
export function removeToken(text: string, name: string): string {
  const lines = text.split("\n");
  return lines.filter((line) => line.trim().split(/\s+/, 1)[0] !== name).join("\n");
}

/** What is wrong with the name of a token; undefined when nothing is. */
export function tokenNameProblem(name: string): string | undefined {
  if (NAME.test(name)) return undefined;
  return "a token's name has up to 64 letters, digits and . _ @ -, and begins with a letter or a digit";
}

function problemOf(name: string, hasRole: boolean, records: readonly TokenRecord[]): string | undefined {
  if (name === "") return "is not `NAME ROLE sha256:HASH`";
  if (!hasRole) return `has no role; allowed are ${ROLE_NAMES.join(", ")}`;
  if (records.some(({ caller }) => caller.name === name)) return `has the name ${name} again`;
  return tokenNameProblem(name);
}

/** A line for a person: the name and the role of a token. */
export function describeToken({ caller }: TokenRecord): string {
  return `${caller.name} ${roleName(caller.role)}`;
}
