import { randomBytes } from "node:crypto";
import { chmod, readFile, stat } from "node:fs/promises";
import { replaceFile } from "./durable-file.ts";
import { kindOf } from "./regular-file.ts";
import { StartError } from "./start-error.ts";

const MAX_LENGTH = 512;

/**
 * Reads the secret kept in a file, or makes one of 256 random bits (base64url, one line) on first use. The file is 0600, also when somebody had widened it.
 * Throws a StartError when the file is there but holds nothing that can serve as a secret: it has to have `least` characters.
 */
export async function readOrCreateSecret(path: string, least: number): Promise<string> {
  const fresh = `${randomBytes(32).toString("base64url")}\n`;
  const outcome = await replaceFile(path, Buffer.from(fresh), { expected: undefined, mode: 0o600 });
  if (outcome.kind === "replaced") return fresh.trim();
  const kind = kindOf(await stat(path));
  if (kind !== "file")
    throw new StartError(`${path} is a ${kind}, and must be a file; move it away to have a new secret made`);
  await chmod(path, 0o600);
  const secret = (await readFile(path, "utf8")).trim();
  if (!/^[\x21-\x7e]+$/.test(secret) || secret.length < least || secret.length > MAX_LENGTH) {
    throw new StartError(
      `${path} must hold one secret of ${least} to ${MAX_LENGTH} printable characters without spaces; delete the file to have a new one made`,
    );
  }
  return secret;
}
