import type { Database } from "./database.ts";

/** Sets a value, or replaces it. */
export function putMeta(database: Database, name: string, value: Uint8Array): void {
  database.run("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", name, value);
}

/** A value, if there is one. */
export function getMeta(database: Database, name: string): Uint8Array | undefined {
  return database.get<{ value: Uint8Array }>("SELECT value FROM meta WHERE name = ?", name)?.value;
}
