import { DomainError } from "../lib/errors.ts";
import type { Database } from "./database.ts";
import type { ReloadOutcome, ReloadRecord } from "./operations.ts";

interface Row {
  readonly number: number;
  readonly state: string;
  readonly reasons: string;
  readonly output: string;
  readonly revision: number;
  readonly start_time: number;
  readonly end_time: number | null;
  readonly captured: Uint8Array | null;
}

const COLUMNS = "number, state, reasons, output, revision, start_time, end_time, captured";

/** Inserts the record of a reload, or replaces the one of its number. */
export function putReload(database: Database, reload: ReloadRecord): void {
  database.run(
    `INSERT OR REPLACE INTO reloads (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    reload.number,
    reload.state,
    JSON.stringify(reload.reasons),
    reload.output,
    reload.revision,
    Math.round(reload.startTime),
    reload.endTime === undefined ? null : Math.round(reload.endTime),
    reload.captured ?? null,
  );
}

/** Records before a number (exclusive), newest first. */
export function listReloads(
  database: Database,
  { before, limit }: { readonly before?: number; readonly limit: number },
): ReloadRecord[] {
  return database
    .all<Row>(
      `SELECT ${COLUMNS} FROM reloads WHERE number < ? ORDER BY number DESC LIMIT ?`,
      before ?? Number.MAX_SAFE_INTEGER,
      limit,
    )
    .map(toRecord);
}

/** One record. Throws `RESOURCE_NOT_FOUND`. */
export function getReload(database: Database, number: number): ReloadRecord {
  const row = database.get<Row>(`SELECT ${COLUMNS} FROM reloads WHERE number = ?`, number);
  if (row !== undefined) return toRecord(row);
  const name = `reloads/${number}`;
  throw new DomainError("RESOURCE_NOT_FOUND", `There is no record of ${name}.`, {
    resource: { type: "reload", name },
  });
}

/** Number of the newest record; 0 when there is none. */
export function newestReload(database: Database): number {
  return database.get<{ number: number | null }>("SELECT max(number) AS number FROM reloads")?.number ?? 0;
}

/** Keeps the newest `keep` records. */
export function pruneReloads(database: Database, keep: number): void {
  database.run(
    "DELETE FROM reloads WHERE number <= (SELECT number FROM reloads ORDER BY number DESC LIMIT 1 OFFSET ?)",
    keep,
  );
}

function toRecord(row: Row): ReloadRecord {
  return {
    number: row.number,
    state: row.state as ReloadOutcome,
    reasons: JSON.parse(row.reasons),
    output: row.output,
    revision: row.revision,
    startTime: row.start_time,
    ...(row.end_time === null ? {} : { endTime: row.end_time }),
    ...(row.captured === null ? {} : { captured: row.captured }),
  };
}
