import type { Database } from "./database.ts";
import { applyEdits, composeEdits, decodeEdits, encodeEdits } from "./delta.ts";
import { intentBases } from "./intent-table.ts";
import { contentAt, type FileRow, insertFile } from "./revision-table.ts";

/** How many revisions are kept. The newest one, and what pending intents are told by, is always kept. */
export interface RevisionRetention {
  /** Number of revisions of people and of edits by hand. */
  readonly revisions: number;
  /** Number of revisions of discovery. */
  readonly discoveryRevisions: number;
  /** Age in milliseconds beyond which people's go. */
  readonly revisionAgeMs: number;
  /** The same for discovery's. */
  readonly discoveryRevisionAgeMs: number;
  /** Bytes of stored content of all revisions; beyond it the oldest go, discovery's first. */
  readonly revisionBytes: number;
}

/**
 * Drops what is not to be kept, a bounded number of revisions per call; returns whether there may be more. What a dropped revision changed becomes part of the next kept
 * one, so that the content of every kept revision stays what it was.
 */
export function pruneRevisions(database: Database, now: number, retention: RevisionRetention): boolean {
  const all = database.all<Candidate>("SELECT number, time, lane FROM revisions ORDER BY number");
  const needed = new Set([...intentBases(database), all.at(-1)?.number]);
  const droppable = all.filter((revision) => !needed.has(revision.number));
  const discovery = droppable.filter((revision) => revision.lane === "discovery");
  const people = droppable.filter((revision) => revision.lane !== "discovery");
  const due = [
    ...dueByCountAndAge(discovery, retention.discoveryRevisions, now - retention.discoveryRevisionAgeMs),
    ...dueByCountAndAge(people, retention.revisions, now - retention.revisionAgeMs),
  ];
  if (due.length === 0 && storedBytes(database) > retention.revisionBytes) {
    // How much a revision frees is known only when it is gone: drop a part of the oldest and look again.
    const oldest = discovery.length > 0 ? discovery : people;
    due.push(...oldest.slice(0, Math.ceil(oldest.length / 10)));
  }
  const step = due.slice(0, PRUNE_STEP);
  if (step.length === 0) return false;
  dropRevisions(
    database,
    step.map((revision) => revision.number),
  );
  return true;
}

const PRUNE_STEP = 200;

interface Candidate {
  readonly number: number;
  readonly time: number;
  readonly lane: string;
}

/** The oldest that are too many or too old. A tenth more than the number is let be, so that a full history is not pruned one by one. */
function dueByCountAndAge(revisions: readonly Candidate[], count: number, before: number): Candidate[] {
  const excess = revisions.length > count + count / 10 ? revisions.length - count : 0;
  return revisions.filter((revision, i) => i < excess || revision.time < before);
}

function storedBytes(database: Database): number {
  return (
    database.get<{ bytes: number }>("SELECT coalesce(sum(length(data)), 0) AS bytes FROM revision_files")
      ?.bytes ?? 0
  );
}

/** Drops revisions, none of them the newest, in one transaction. */
export function dropRevisions(database: Database, numbers: readonly number[]): void {
  database.transaction(() => {
    for (const number of numbers) database.run("DELETE FROM revisions WHERE number = ?", number);
    const orphans = database.all<FileRow & { heir: number }>(`
      SELECT f.revision, f.path, f.kind, f.size, f.data,
        (SELECT min(number) FROM revisions WHERE number > f.revision) AS heir
      FROM revision_files f WHERE NOT EXISTS (SELECT 1 FROM revisions WHERE number = f.revision)
      ORDER BY f.path, f.revision`);
    for (let i = 0; i < orphans.length; ) {
      const first = orphans[i];
      if (first === undefined) break;
      const { path, heir } = first;
      const rows: FileRow[] = [];
      for (; orphans[i]?.path === path && orphans[i]?.heir === heir; i += 1) rows.push(orphans[i] as FileRow);
      inherit(database, path, heir, rows);
    }
  });
}

function inherit(database: Database, path: string, heir: number, rows: readonly FileRow[]): void {
  const own = database.get<FileRow>(
    "SELECT revision, path, kind, size, data FROM revision_files WHERE path = ? AND revision = ?",
    path,
    heir,
  );
  const merged = [...rows, ...(own === undefined ? [] : [own])].reduce(merge);
  database.run(
    "DELETE FROM revision_files WHERE path = ? AND revision >= ? AND revision < ?",
    path,
    rows[0]?.revision ?? heir,
    heir,
  );
  // That a file is absent needs saying only where it was there before.
  const before = database.get(
    "SELECT 1 FROM revision_files WHERE path = ? AND revision < ? AND kind <> 'absent'",
    path,
    heir,
  );
  if (merged.kind !== "absent" || before !== undefined) insertFile(database, { ...merged, revision: heir });
  else database.run("DELETE FROM revision_files WHERE path = ? AND revision <= ?", path, heir);
}

/** The one row that does what two do, the second being the newer. */
function merge(first: FileRow, second: FileRow): FileRow {
  if (second.kind !== "edits") return second;
  const edits = decodeEdits(second.data);
  switch (first.kind) {
    case "content":
      return { ...second, kind: "content", data: applyEdits(first.data, edits) };
    case "edits":
      return { ...second, data: encodeEdits(composeEdits(decodeEdits(first.data), edits)) };
    case "absent":
      throw new Error(
        `${second.path} is edited in revision ${second.revision}, but does not exist before it`,
      );
  }
}

/**
 * Stores the newest content of one file whole, if reading it takes too many steps by now. Returns whether there may be another such file.
 * Called now and then, so that reading any revision takes a bounded number of steps.
 */
export function addSnapshot(database: Database): boolean {
  const long = database.get<{ path: string; revision: number; size: number }>(
    `SELECT path, max(revision) AS revision, size FROM revision_files f
     WHERE kind = 'edits' AND revision > coalesce(
       (SELECT max(revision) FROM revision_files s WHERE s.path = f.path AND s.kind <> 'edits'), 0)
     GROUP BY path
     HAVING count(*) > ? OR sum(length(data)) > max(size / 2, ?)
     LIMIT 1`,
    MAX_STEPS,
    MIN_SNAPSHOT_BYTES,
  );
  if (long === undefined) return false;
  const data = contentAt(database, long.revision, long.path);
  if (data === undefined) throw new Error(`${long.path} has edits but no content`);
  database.transaction(() => insertFile(database, { ...long, kind: "content", data }));
  return true;
}

const MAX_STEPS = 256;
// Edits of less than this in all are not worth a copy of the file.
const MIN_SNAPSHOT_BYTES = 65_536;
