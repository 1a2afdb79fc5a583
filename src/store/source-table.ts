import type { Database } from "./database.ts";
import type { StoredSource } from "./operations.ts";

/** All sources, ordered by name. */
export function listSources(database: Database): StoredSource[] {
  return database
    .all<StoredSource>("SELECT name, settings, memory FROM sources ORDER BY name")
    .map(({ name, settings, memory }) => ({ name, settings, memory }));
}

/** Inserts a source or replaces the one of its name. */
export function putSource(database: Database, { name, settings, memory }: StoredSource): void {
  database.run(
    "INSERT OR REPLACE INTO sources (name, settings, memory) VALUES (?, ?, ?)",
    name,
    settings,
    memory,
  );
}

/** Forgets a source, if there is one of that name. */
export function deleteSource(database: Database, name: string): void {
  database.run("DELETE FROM sources WHERE name = ?", name);
}
