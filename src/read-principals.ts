import { readFile, stat } from "node:fs/promises";
import type { Logger } from "pino";
import { Role } from "../gen/haplane/v1/options_pb.js";
import { whyUnreadable } from "./lib/files.ts";
import { requireRegular } from "./lib/regular-file.ts";
import { readOrCreateSecret } from "./lib/secret-file.ts";
import { StartError } from "./lib/start-error.ts";
import { hashToken, type TokenRecord } from "./rpc/auth.ts";
import type { UserRecord } from "./rpc/basic.ts";
import { bindCertificates, bindUsers, MIN_TOKEN_LENGTH, type Principals } from "./rpc/principals.ts";
import { parseTokens } from "./rpc/token-file.ts";
import type { Settings } from "./settings/settings.ts";

/** Reads who may come in, by the settings and the files that they name. Throws a StartError for a file that cannot be read or understood. */
export async function readPrincipals(
  settings: Settings,
  adminToken: string,
  logger: Logger,
): Promise<Principals> {
  const { tokensFile, users, bindings, userlistRole, tlsClientRole } = settings;
  return {
    tokens: [
      ...(settings.adminToken ? [await adminRecord(adminToken)] : []),
      ...(await readTokens(tokensFile, logger)),
    ],
    users: new Map(users.map(({ name, password, role }) => [name, userRecord(name, password, role)])),
    roleOfUser: bindUsers(bindings, userlistRole),
    roleOfCertificate: bindCertificates(bindings, tlsClientRole),
  };
}

async function adminRecord(path: string): Promise<TokenRecord> {
  const token = await readOrCreateSecret(path, MIN_TOKEN_LENGTH);
  return { caller: { name: "admin", role: Role.ADMIN }, sha256: hashToken(token) };
}

async function readTokens(path: string, logger: Logger): Promise<readonly TokenRecord[]> {
  let text: string;
  try {
    requireRegular(path);
    text = await readFile(path, "utf8");
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0)
      logger.warn({ path }, "the file of tokens should be readable by its owner alone: chmod 600");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new StartError(`${path} cannot be read: ${whyUnreadable(cause)}`, { cause });
  }
  const { records, problems } = parseTokens(text);
  if (problems.length === 0) return records;
  throw new StartError(problems.map(({ line, problem }) => `${path}:${line}: ${problem}`).join("\n"));
}

function userRecord(name: string, text: string, role: Role): UserRecord {
  const kind = /^\$[56]\$/.test(text) ? "hashed" : "clear";
  return { caller: { name, role }, password: { kind, text } };
}
