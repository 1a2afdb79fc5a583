import { DomainError } from "../lib/errors.ts";
import type { Database } from "./database.ts";
import { applyEdits, decodeEdits, encodeEdits, growth } from "./delta.ts";
import { diffLines, type FileEdits } from "./line-diff.ts";
import type { FileChange, NewRevision, RevisionLane } from "./operations.ts";

/** A revision without its content. */
export interface Revision {
  readonly number: number;
  /** The kept revision before it; 0 when there is none. */
  readonly parent: number;
  /** When it was committed, in milliseconds since 1970. */
  readonly time: number;
  readonly author: string;
  readonly message: string;
  readonly lane: RevisionLane;
  readonly resources: readonly string[];
}

/** A file of a revision. */
export interface RevisionFile {
  readonly path: string;
  /** In bytes. */
  readonly size: number;
}

/** Which revisions to list, newest first. */
export interface RevisionPage {
  /** Only those before this number. */
  readonly before?: number;
  /** At most so many. */
  readonly limit: number;
  /** Only those of these lanes. */
  readonly lanes?: readonly RevisionLane[];
}

/** A row of `revision_files`. */
export interface FileRow {
  readonly revision: number;
  readonly path: string;
  readonly kind: FileChange["kind"];
  readonly size: number;
  readonly data: Uint8Array;
}

/** Number of the newest revision; 0 when there is none. */
export function newestRevision(database: Database): number {
  return database.get<{ number: number | null }>("SELECT max(number) AS number FROM revisions")?.number ?? 0;
}

/** Appends a revision. Throws a plain error, for it is the caller's defect, when it does not follow the newest one or its edits do not fit. */
export function appendRevision(database: Database, revision: NewRevision): void {
  const newest = newestRevision(database);
  if (revision.parent !== newest || revision.number <= newest) {
    throw new Error(
      `revision ${revision.number} on ${revision.parent} does not follow the newest one, ${newest}`,
    );
  }
  database.run(
    "INSERT INTO revisions (number, time, author, message, lane, resources) VALUES (?, ?, ?, ?, ?, ?)",
    revision.number,
    Math.round(revision.time),
    revision.author,
    revision.message,
    revision.lane,
    JSON.stringify(revision.resources),
  );
  for (const change of revision.files) {
    insertFile(database, {
      revision: revision.number,
      path: change.path,
      kind: change.kind,
      size: sizeAfter(change, sizeOf(database, revision.parent, change.path)),
      data: encodeChange(change),
    });
  }
}

/** Inserts or replaces how a file's content came to be in a revision. */
export function insertFile(database: Database, row: FileRow): void {
  database.run(
    "INSERT OR REPLACE INTO revision_files (revision, path, kind, size, data) VALUES (?, ?, ?, ?, ?)",
    row.revision,
    row.path,
    row.kind,
    row.size,
    row.data,
  );
}

/** The stored form of a change. */
export function encodeChange(change: FileChange): Uint8Array {
  switch (change.kind) {
    case "content":
      return change.content;
    case "edits":
      return encodeEdits(change.edits);
    case "absent":
      return new Uint8Array(0);
  }
}

/** Revisions without their content, newest first. */
export function listRevisions(database: Database, page: RevisionPage): Revision[] {
  const { before, limit, lanes } = page;
  return database
    .all<RevisionRow>(
      `SELECT ${COLUMNS} FROM revisions r
       WHERE number < ? AND (? IS NULL OR lane IN (SELECT value FROM json_each(?)))
       ORDER BY number DESC LIMIT ?`,
      before ?? Number.MAX_SAFE_INTEGER,
      lanes === undefined ? null : 1,
      JSON.stringify(lanes ?? []),
      limit,
    )
    .map(toRevision);
}

/** One revision. Throws `RESOURCE_NOT_FOUND`. */
export function getRevision(database: Database, number: number): Revision {
  const row = database.get<RevisionRow>(`SELECT ${COLUMNS} FROM revisions r WHERE number = ?`, number);
  if (row === undefined) throw notFound(number);
  return toRevision(row);
}

/** Throws `RESOURCE_NOT_FOUND` where there is no such revision. */
export function requireRevision(database: Database, number: number): void {
  if (database.get("SELECT 1 FROM revisions WHERE number = ?", number) === undefined) throw notFound(number);
}

/** The files of a revision, ordered by path. Throws `RESOURCE_NOT_FOUND`. */
export function revisionFiles(database: Database, number: number): RevisionFile[] {
  requireRevision(database, number);
  // With max(), SQLite takes the other columns from the row that has the maximum.
  return database
    .all<{ path: string; size: number; kind: string }>(
      "SELECT path, size, kind, max(revision) FROM revision_files WHERE revision <= ? GROUP BY path ORDER BY path",
      number,
    )
    .filter((row) => row.kind !== "absent")
    .map(({ path, size }) => ({ path, size }));
}

/** The content of a revision's file. Throws `RESOURCE_NOT_FOUND`. */
export function readRevisionFile(database: Database, number: number, path: string): Uint8Array {
  requireRevision(database, number);
  const content = contentAt(database, number, path);
  if (content === undefined) throw notFound(number, path);
  return content;
}

/** What differs from one revision to another, per file, ordered by path. Throws `RESOURCE_NOT_FOUND`. */
export function diffRevisions(database: Database, from: number, to: number): FileEdits[] {
  const paths = [...revisionFiles(database, from), ...revisionFiles(database, to)].map((file) => file.path);
  const result: FileEdits[] = [];
  for (const path of [...new Set(paths)].sort()) {
    const before = contentAt(database, from, path);
    const after = contentAt(database, to, path);
    const lines = diffLines(before ?? EMPTY, after ?? EMPTY);
    if (before === undefined) result.push({ path, change: "added", lines });
    else if (after === undefined) result.push({ path, change: "removed", lines });
    else if (lines.length > 0) result.push({ path, change: "changed", lines });
  }
  return result;
}

/** The content of a file in a kept revision; undefined when it did not exist. */
export function contentAt(database: Database, revision: number, path: string): Uint8Array | undefined {
  const start = database.get<{ revision: number; kind: string; data: Uint8Array }>(
    `SELECT revision, kind, data FROM revision_files
     WHERE path = ? AND revision <= ? AND kind <> 'edits' ORDER BY revision DESC LIMIT 1`,
    path,
    revision,
  );
  if (start === undefined || start.kind === "absent") return undefined;
  const edits = database.all<{ data: Uint8Array }>(
    "SELECT data FROM revision_files WHERE path = ? AND revision > ? AND revision <= ? ORDER BY revision",
    path,
    start.revision,
    revision,
  );
  if (edits.length === 0) return start.data;
  return applyEdits(start.data, ...edits.map((row) => decodeEdits(row.data)));
}

/** Size of a file in a kept revision; undefined when it did not exist. */
export function sizeOf(database: Database, revision: number, path: string): number | undefined {
  const row = database.get<{ kind: string; size: number }>(
    "SELECT kind, size FROM revision_files WHERE path = ? AND revision <= ? ORDER BY revision DESC LIMIT 1",
    path,
    revision,
  );
  return row === undefined || row.kind === "absent" ? undefined : row.size;
}

/** Size of a file after a change; throws when the change does not fit what was there. */
export function sizeAfter(change: FileChange, before: number | undefined): number {
  switch (change.kind) {
    case "content":
      return change.content.length;
    case "absent":
      return 0;
    case "edits": {
      if (before === undefined) throw new Error(`edits of ${change.path}, which does not exist`);
      let end = 0;
      for (const edit of change.edits) {
        if (edit.offset < end || edit.length < 0) throw new Error(`edits of ${change.path} overlap`);
        end = edit.offset + edit.length;
      }
      if (end > before) throw new Error(`edits of ${change.path} reach beyond its ${before} bytes`);
      return before + growth(change.edits);
    }
  }
}

const EMPTY = new Uint8Array(0);

interface RevisionRow extends Omit<Revision, "resources"> {
  readonly resources: string;
}

const COLUMNS = `number, time, author, message, lane, resources,
  coalesce((SELECT max(number) FROM revisions p WHERE p.number < r.number), 0) AS parent`;

function toRevision(row: RevisionRow): Revision {
  return { ...row, resources: JSON.parse(row.resources) };
}

function notFound(number: number, path?: string): DomainError {
  const name = `revisions/${number}`;
  const sentence = path === undefined ? `There is no ${name}` : `${name} has no file ${path}`;
  return new DomainError("RESOURCE_NOT_FOUND", `${sentence}, or it is not kept any more.`, {
    resource: { type: path === undefined ? "revision" : "file", name: path ?? name },
  });
}
