import { randomBytes } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import { Database } from "./database.ts";

/**
 * Copies the state database as it is at one moment, also while a haplane writes it, into a file that does not exist yet. The copy has an epoch of its own: a haplane that goes on from it gives numbers again that watchers have
 * seen already, and they have to be told. Throws `STORE_UNAVAILABLE`.
 */
export function backUpDatabase(path: string, target: string): void {
  closeSync(openSync(target, "wx", 0o600));
  const source = Database.openReadOnly(path);
  try {
    source.run("VACUUM INTO ?", target);
  } finally {
    source.close();
  }
  const copy = Database.openWritable(target);
  try {
    copy.run("UPDATE installation SET epoch = ?", randomBytes(16));
  } finally {
    copy.close();
  }
}
