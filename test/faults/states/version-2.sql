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
CREATE TABLE revision_files (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    revision INTEGER NOT NULL REFERENCES revisions (number) DEFERRABLE INITIALLY DEFERRED,
    kind TEXT NOT NULL CHECK (kind IN ('content', 'edits', 'absent')),
    size INTEGER NOT NULL, -- of the content in this revision
    data BLOB NOT NULL
  ) STRICT;
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
CREATE TABLE intent_files (
    intent TEXT NOT NULL REFERENCES intents (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('content', 'edits', 'absent')),
    data BLOB NOT NULL,
    PRIMARY KEY (intent, path)
  ) STRICT;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    entry INTEGER NOT NULL,
    revision INTEGER NOT NULL, -- the newest revision among the events up to this one
    time INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    resource TEXT NOT NULL,
    bytes BLOB NOT NULL
  ) STRICT;
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
CREATE TABLE answers (
    caller TEXT NOT NULL,
    request_id TEXT NOT NULL,
    method TEXT NOT NULL,
    digest BLOB NOT NULL,
    time INTEGER NOT NULL,
    answer BLOB NOT NULL,
    PRIMARY KEY (caller, request_id)
  ) STRICT;
CREATE UNIQUE INDEX revision_files_by_path ON revision_files (path, revision);
CREATE INDEX revision_files_by_revision ON revision_files (revision);
CREATE INDEX answers_by_time ON answers (time);
INSERT INTO installation (id, epoch, etag_key) VALUES (1, X'9419e675aedc8204de8078966b9a9227', X'14fa7e831cabaacf36a60a5fea883e12450cc35b699018efb0ad25cc58a5a08a');
INSERT INTO meta (name, value) VALUES ('kept', X'617320697420776173');
INSERT INTO revisions (number, time, author, message, lane, resources) VALUES (1, 1764000000001, 'admin', 'revision 1', 'external', '["backends/site/servers/one"]');
INSERT INTO revisions (number, time, author, message, lane, resources) VALUES (2, 1764000000002, 'admin', 'revision 2', 'reload', '["backends/site/servers/one"]');
INSERT INTO revisions (number, time, author, message, lane, resources) VALUES (3, 1764000000003, 'admin', 'revision 3', 'reload', '["backends/site/servers/one"]');
INSERT INTO revision_files (id, path, revision, kind, size, data) VALUES (1, '/etc/haproxy/haproxy.cfg', 1, 'content', 49, X'6261636b656e6420736974650a20202020736572766572206f6e65203132372e302e302e313a312077656967687420310a');
INSERT INTO revision_files (id, path, revision, kind, size, data) VALUES (2, '/etc/haproxy/haproxy.cfg', 2, 'edits', 49, X'010d242420202020736572766572206f6e65203132372e302e302e313a312077656967687420320a');
INSERT INTO revision_files (id, path, revision, kind, size, data) VALUES (3, '/etc/haproxy/haproxy.cfg', 3, 'edits', 49, X'010d242420202020736572766572206f6e65203132372e302e302e313a312077656967687420330a');
INSERT INTO reloads (number, state, reasons, output, revision, start_time, end_time, captured) VALUES (1, 'succeeded', '["a new backend"]', 'Success=1', 2, 1764000000002, 1764000000003, NULL);
INSERT INTO sources (name, settings, memory) VALUES ('sources/kept', X'0a0c736f75726365732f6b6570741a0b66726f6d206265666f726520002a0d0a0b3132372e302e302e313a31', X'');
INSERT INTO events (seq, entry, revision, time, kind, resource, bytes) VALUES (1, 1, 1, 1795541436863, 1, 'backends/site/servers/one', X'0801100222196261636b656e64732f736974652f736572766572732f6f6e652801');
INSERT INTO events (seq, entry, revision, time, kind, resource, bytes) VALUES (2, 2, 2, 1795541436898, 1, 'backends/site/servers/one', X'0801100222196261636b656e64732f736974652f736572766572732f6f6e652802');
INSERT INTO events (seq, entry, revision, time, kind, resource, bytes) VALUES (3, 3, 3, 1795541436902, 1, 'backends/site/servers/one', X'0801100222196261636b656e64732f736974652f736572766572732f6f6e652803');
INSERT INTO transactions (name, owner, create_time, expire_time, idle_ms, base_revision) VALUES ('transactions/kept', 'admin', 1764000000000, 3528000000000, 60000, 3);
INSERT INTO answers (caller, request_id, method, digest, time, answer) VALUES ('admin', 'kept', 'Configuration.Create', X'646967657374', 1764000000000, X'616e73776572');
PRAGMA application_id = 1751216236;
PRAGMA user_version = 2;
