import type { FileKind } from "./kinds.ts";
import type { Referrer } from "./live.ts";
import type { ManagedDirectory } from "./managed-directory.ts";
import { namesPrivateKey } from "./pem.ts";
import { keysOf, ownersOf, sideFileOf } from "./side-files.ts";

/**
 * Of what names a file, that which HAProxy could not start with once the file is gone. A bind that names a whole directory does with what is left in it, as long as that is a certificate, and each has its key.
 */
export async function needing(
  directory: ManagedDirectory,
  kind: FileKind,
  name: string,
  referrers: readonly Referrer[],
): Promise<readonly Referrer[]> {
  const byName = referrers.filter(({ path }) => path !== directory.path);
  if (byName.length > 0 || referrers.length === 0 || kind !== "certificates") return byName;
  const side = sideFileOf(name);
  const isNeeded =
    side === undefined
      ? await isLastCertificate(directory, name)
      : side === "key" && (await isCountedOn(directory, name));
  return isNeeded ? referrers : [];
}

async function isLastCertificate(directory: ManagedDirectory, name: string): Promise<boolean> {
  const files = await directory.list();
  return files.every((file) => file.name === name || sideFileOf(file.name) !== undefined);
}

/** Whether a certificate has no other key. */
async function isCountedOn(directory: ManagedDirectory, key: string): Promise<boolean> {
  for (const owner of ownersOf(key)) {
    if (!keysOf(owner).includes(key)) continue;
    const text = (await directory.read(owner))?.toString("latin1");
    if (text !== undefined && !namesPrivateKey(text)) return true;
  }
  return false;
}
