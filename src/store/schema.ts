import { DomainError } from "../lib/errors.ts";
import type { Database } from "./database.ts";

/**
 * How the database came to look as it does: each entry takes it one version further. Entries are never changed once released; a change is a new entry.
 * Times are milliseconds since 1970.
 */
export const MIGRATIONS: readonly string[] = [
  `
  -- One row: what names this state directory's history, and the key of its etags.
  CREATE TABLE installation (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch BLOB NOT NULL,
    etag_key BLOB NOT NULL
  ) STRICT;

  CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE revisions (
    number INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    author TEXT NOT NULL,
    message TEXT NOT NULL,
    lane TEXT NOT NULL,
    resources TEXT NOT NULL -- a JSON array of names
  ) STRICT;

  -- How a file's content came to be in a revision. 'edits' are relative to the newest older revision that is kept; a file without a row is as it was there.
  CREATE TABLE revision_files (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    revision INTEGER NOT NULL REFERENCES revisions (number) DEFERRABLE INITIALLY DEFERRED,
    kind TEXT NOT NULL CHECK (kind IN ('content', 'edits', 'absent')),
    size INTEGER NOT NULL, -- of the content in this revision
    data BLOB NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX revision_files_by_path ON revision_files (path, revision);
  CREATE INDEX revision_files_by_revision ON revision_files (revision);

  CREATE TABLE reloads (
    number INTEGER PRIMARY KEY,
    state TEXT NOT NULL,
    reasons TEXT NOT NULL, -- a JSON array of sentences
    output TEXT NOT NULL,
    revision INTEGER NOT NULL,
    start_time INTEGER NOT NULL,
    end_time INTEGER,
    captured BLOB
  ) STRICT;

  CREATE TABLE sources (name TEXT PRIMARY KEY, settings BLOB NOT NULL, memory BLOB NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE intents (
    id TEXT PRIMARY KEY,
    time INTEGER NOT NULL,
    base INTEGER NOT NULL,
    data BLOB NOT NULL
  ) STRICT;
  -- The former content of an intent's files, told as a change of the base revision's.
  CREATE TABLE intent_files (
    intent TEXT NOT NULL REFERENCES intents (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('content', 'edits', 'absent')),
    data BLOB NOT NULL,
    PRIMARY KEY (intent, path)
  ) STRICT;

  -- The event log. Events that were appended together have the same entry: the seq of the last of them.
  CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    entry INTEGER NOT NULL,
    revision INTEGER NOT NULL, -- the newest revision among the events up to this one
    time INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    resource TEXT NOT NULL,
    bytes BLOB NOT NULL
  ) STRICT;
  `,
  `
  CREATE TABLE transactions (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    expire_time INTEGER NOT NULL,
    idle_ms INTEGER NOT NULL,
    base_revision INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE transaction_writes (
    transaction_name TEXT NOT NULL REFERENCES transactions (name),
    number INTEGER NOT NULL,
    request BLOB NOT NULL,
    guards BLOB NOT NULL,
    PRIMARY KEY (transaction_name, number)
  ) STRICT;

  -- The first answers of requests that carried an id.
  CREATE TABLE answers (
    caller TEXT NOT NULL,
    request_id TEXT NOT NULL,
    method TEXT NOT NULL,
    digest BLOB NOT NULL,
    time INTEGER NOT NULL,
    answer BLOB NOT NULL,
    PRIMARY KEY (caller, request_id)
  ) STRICT;
  CREATE INDEX answers_by_time ON answers (time);
  `,
  `
  -- The versions of files beside the configuration that have a history of their own. Their newest one is never dropped: it says how far their numbers are.
  CREATE TABLE file_versions (
    id INTEGER PRIMARY KEY,
    file TEXT NOT NULL, -- its resource name
    number INTEGER NOT NULL,
    time INTEGER NOT NULL,
    author TEXT NOT NULL,
    message TEXT NOT NULL,
    revision INTEGER NOT NULL,
    resources TEXT NOT NULL, -- a JSON array of names
    sha256 TEXT NOT NULL, -- empty: the file was removed
    content BLOB -- NULL likewise
  ) STRICT;
  CREATE UNIQUE INDEX file_versions_by_file ON file_versions (file, number);
  `,
];

// "hapl", so that a database of something else is not taken for ours.
const APPLICATION_ID = 0x6861706c;

/** From which version a database was brought to which. */
export interface Upgrade {
  readonly from: number;
  readonly to: number;
}

/**
 * Brings a database to the newest version, each step in a transaction of its own, and returns what that was; undefined when there was nothing to do, or nothing there. Throws `NOT_SUPPORTED` when it is of a newer
 * haplane or of another program. `migrations` is replaced by tests.
 */
export function migrate(database: Database, migrations: readonly string[] = MIGRATIONS): Upgrade | undefined {
  const { application, version, tables } = database.get<{
    application: number;
    version: number;
    tables: number;
  }>(`
    SELECT application_id AS application, user_version AS version, (SELECT count(*) FROM sqlite_schema) AS tables
    FROM pragma_application_id, pragma_user_version`) ?? { application: 0, version: 0, tables: 0 };
  if (application !== APPLICATION_ID && tables > 0) {
    throw new DomainError("NOT_SUPPORTED", "The state database belongs to another program.", {
      metadata: { found: String(application), needs: "another state directory" },
    });
  }
  if (version > migrations.length) {
    throw new DomainError(
      "NOT_SUPPORTED",
      `The state database has version ${version}; this haplane knows versions up to ${migrations.length}. Start the haplane that wrote it, or use another state directory.`,
      {
        metadata: {
          found: String(version),
          known: String(migrations.length),
          needs: "a newer haplane",
        },
      },
    );
  }
  for (const [index, sql] of migrations.entries()) {
    if (index < version) continue;
    database.transaction(() => {
      database.execute(sql);
      database.execute(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${index + 1}`);
    });
  }
  return version > 0 && version < migrations.length ? { from: version, to: migrations.length } : undefined;
}
