import { randomBytes } from "node:crypto";
import { closeSync, existsSync, openSync, renameSync } from "node:fs";
import { DomainError } from "../lib/errors.ts";
import { Database, isDamage } from "./database.ts";
import { migrate, type Upgrade } from "./schema.ts";
import { listSources, putSource } from "./source-table.ts";

/** A database that is sound and of the present version. */
export interface Prepared {
  readonly database: Database;
  readonly upgrade?: Upgrade | undefined;
  /** Where a damaged predecessor was put, and how many sources could be read from it. */
  readonly setAside?: { readonly path: string; readonly reason: string; readonly sources: number };
}

/**
 * Opens the state database, checks it and brings it to the present version. A damaged one is set aside, never deleted, and a new one begun under a new epoch:
 * that costs the history and not the service. Sources are taken over from the damaged one as far as they can be read. `now` names the file that is set aside.
 */
export function prepareDatabase(path: string, now: number): Prepared {
  try {
    return openSound(path);
  } catch (error) {
    if (!isDamage(error)) throw error;
    const aside = setAside(path, now);
    closeSync(openSync(path, "wx", 0o600));
    const { database } = openSound(path);
    const sources = salvageSources(aside, database);
    return { database, setAside: { path: aside, reason: (error as Error).message, sources } };
  }
}

function openSound(path: string): Prepared {
  const database = Database.openWritable(path);
  try {
    const found = database.get<{ quick_check: string }>("PRAGMA quick_check(1)");
    if (found?.quick_check !== "ok") throw damaged(found?.quick_check);
    const upgrade = migrate(database);
    database.useWriteAheadLog();
    database.transaction(() =>
      database.run(
        "INSERT INTO installation (id, epoch, etag_key) VALUES (1, ?, ?) ON CONFLICT DO NOTHING",
        randomBytes(16),
        randomBytes(32),
      ),
    );
    return { database, upgrade };
  } catch (error) {
    database.close();
    throw error;
  }
}

function damaged(detail = "no answer"): DomainError {
  return new DomainError("STORE_UNAVAILABLE", "The state database is damaged.", {
    metadata: { sqlite: "damaged", detail },
  });
}

function setAside(path: string, now: number): string {
  const stamp = new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  let aside = `${path}.damaged-${stamp}`;
  for (let n = 2; existsSync(aside); n += 1) aside = `${path}.damaged-${stamp}-${n}`;
  // The log first: without the database it would be taken for the new one's.
  for (const suffix of ["-wal", "-shm", ""]) {
    if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
  }
  return aside;
}

function salvageSources(from: string, to: Database): number {
  let old: Database | undefined;
  try {
    old = Database.openReadOnly(from);
    const sources = listSources(old);
    to.transaction(() => {
      for (const source of sources) putSource(to, source);
    });
    return sources.length;
  } catch {
    // Whatever is wrong with it: it is damaged, after all.
    return 0;
  } finally {
    old?.close();
  }
}
