import type { Database } from "./database.ts";
import { applyEdits, decodeEdits } from "./delta.ts";
import type { FileChange, NewIntent } from "./operations.ts";
import { contentAt, encodeChange, requireRevision, sizeAfter, sizeOf } from "./revision-table.ts";

/** An intent that was begun and not finished. */
export interface PendingIntent {
  readonly id: string;
  /** When it was begun, in milliseconds since 1970. */
  readonly time: number;
  /** The revision that its former content was told by. */
  readonly base: number;
  /** What its writer put there. */
  readonly data: Uint8Array;
  /** The content that the intent's files had before; undefined for one that did not exist. */
  readonly former: ReadonlyMap<string, Uint8Array | undefined>;
}

/** Announces a write. Throws a plain error, for it is the caller's defect, when there is no such base or the former content does not fit it. */
export function beginIntent(database: Database, intent: NewIntent): void {
  if (intent.base !== 0) requireRevision(database, intent.base);
  database.run(
    "INSERT INTO intents (id, time, base, data) VALUES (?, ?, ?, ?)",
    intent.id,
    Math.round(intent.time),
    intent.base,
    intent.data,
  );
  for (const change of intent.former) {
    sizeAfter(change, sizeOf(database, intent.base, change.path));
    database.run(
      "INSERT INTO intent_files (intent, path, kind, data) VALUES (?, ?, ?, ?)",
      intent.id,
      change.path,
      change.kind,
      encodeChange(change),
    );
  }
}

/** Forgets an intent, if there is one of that id. */
export function finishIntent(database: Database, id: string): void {
  database.run("DELETE FROM intent_files WHERE intent = ?", id);
  database.run("DELETE FROM intents WHERE id = ?", id);
}

/** The intents that are not finished, oldest first. */
export function pendingIntents(database: Database): PendingIntent[] {
  return database
    .all<Omit<PendingIntent, "former">>("SELECT id, time, base, data FROM intents ORDER BY time, id")
    .map((intent) => ({ ...intent, former: formerContent(database, intent.id, intent.base) }));
}

/** The revisions that pending intents are told by: retention must not drop them. */
export function intentBases(database: Database): number[] {
  return database.all<{ base: number }>("SELECT DISTINCT base FROM intents").map((row) => row.base);
}

function formerContent(
  database: Database,
  intent: string,
  base: number,
): Map<string, Uint8Array | undefined> {
  const rows = database.all<{ path: string; kind: FileChange["kind"]; data: Uint8Array }>(
    "SELECT path, kind, data FROM intent_files WHERE intent = ? ORDER BY path",
    intent,
  );
  const former = new Map<string, Uint8Array | undefined>();
  for (const { path, kind, data } of rows) {
    if (kind === "content") former.set(path, data);
    else if (kind === "absent") former.set(path, undefined);
    else
      former.set(path, applyEdits(contentAt(database, base, path) ?? new Uint8Array(0), decodeEdits(data)));
  }
  return former;
}
