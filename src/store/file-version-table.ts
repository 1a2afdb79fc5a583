import { DomainError } from "../lib/errors.ts";
import type { Database } from "./database.ts";
import type { FileVersion, NewFileVersion } from "./operations.ts";

/** How many versions of files are kept. The newest of each file always is. */
export interface FileVersionRetention {
  /** Number of versions of a file. */
  readonly fileVersions: number;
  /** Age in milliseconds beyond which versions go. */
  readonly fileVersionAgeMs: number;
  /** Bytes of content of all versions of all files; beyond it the oldest go. */
  readonly fileVersionBytes: number;
}

/** Which versions of a file to list, newest first. */
export interface FileVersionPage {
  readonly file: string;
  /** Only those before this number. */
  readonly before?: number;
  /** At most so many. */
  readonly limit: number;
}

/** Appends a version. One whose number is taken gets the next, for it must not be what a revision fails of. */
export function appendFileVersion(database: Database, version: NewFileVersion): void {
  const { file, number, time, author, message, revision, resources, sha256, content } = version;
  const newest =
    database.get<{ number: number | null }>(
      "SELECT max(number) AS number FROM file_versions WHERE file = ?",
      file,
    )?.number ?? 0;
  database.run(
    "INSERT INTO file_versions (file, number, time, author, message, revision, resources, sha256, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    file,
    Math.max(number, newest + 1),
    Math.round(time),
    author,
    message,
    revision,
    JSON.stringify(resources),
    sha256,
    content ?? null,
  );
}

/** Versions of a file without their content, newest first. */
export function listFileVersions(
  database: Database,
  { file, before, limit }: FileVersionPage,
): FileVersion[] {
  return database
    .all<Row>(
      `SELECT ${COLUMNS} FROM file_versions WHERE file = ? AND number < ? ORDER BY number DESC LIMIT ?`,
      file,
      before ?? Number.MAX_SAFE_INTEGER,
      limit,
    )
    .map(toVersion);
}

/** The newest version of each file, by the file's name. */
export function newestFileVersions(database: Database): FileVersion[] {
  return database
    .all<Row>(
      `SELECT ${COLUMNS} FROM file_versions v
       WHERE number = (SELECT max(number) FROM file_versions n WHERE n.file = v.file) ORDER BY file`,
    )
    .map(toVersion);
}

/** A version with its content, which is undefined when it removed the file. Throws `RESOURCE_NOT_FOUND`. */
export function readFileVersion(
  database: Database,
  file: string,
  number: number,
): { readonly version: FileVersion; readonly content: Uint8Array | undefined } {
  const row = database.get<Row & { content: Uint8Array | null }>(
    `SELECT ${COLUMNS}, content FROM file_versions WHERE file = ? AND number = ?`,
    file,
    number,
  );
  if (row !== undefined) return { version: toVersion(row), content: row.content ?? undefined };
  const name = `${file}/versions/${number}`;
  throw new DomainError("RESOURCE_NOT_FOUND", `There is no ${name}, or it is not kept any more.`, {
    resource: { type: "file version", name },
  });
}

/** Drops what is not to be kept. */
export function pruneFileVersions(database: Database, now: number, retention: FileVersionRetention): void {
  const { fileVersions, fileVersionAgeMs, fileVersionBytes } = retention;
  database.run(
    `DELETE FROM file_versions WHERE id IN (
       SELECT id FROM (
         SELECT id, time,
           row_number() OVER (PARTITION BY file ORDER BY number DESC) AS place,
           sum(coalesce(length(content), 0)) OVER (ORDER BY time DESC, id DESC) AS bytes
         FROM file_versions)
       WHERE place > 1 AND (place > ? OR time < ? OR bytes > ?))`,
    fileVersions,
    Math.round(now - fileVersionAgeMs),
    fileVersionBytes,
  );
}

interface Row extends Omit<FileVersion, "resources"> {
  readonly resources: string;
}

const COLUMNS =
  "file, number, time, author, message, revision, resources, sha256, coalesce(length(content), 0) AS size";

function toVersion({
  file,
  number,
  time,
  author,
  message,
  revision,
  resources,
  sha256,
  size,
}: Row): FileVersion {
  return { file, number, time, author, message, revision, resources: JSON.parse(resources), sha256, size };
}
