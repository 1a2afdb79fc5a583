import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Database } from "./database.ts";
import { MIGRATIONS, migrate } from "./schema.ts";

function database(t: TestContext): Database {
  const directory = mkdtempSync(join(tmpdir(), "haplane-schema-"));
  const opened = Database.openWritable(join(directory, "test.db"));
  t.after(() => {
    opened.close();
    rmSync(directory, { recursive: true });
  });
  return opened;
}

const version = (opened: Database) =>
  opened.get<{ user_version: number }>("PRAGMA user_version")?.user_version;

test("each step is taken once, in order, and what is there is kept", (t) => {
  const opened = database(t);
  const steps = [
    "CREATE TABLE a (x) ",
    "ALTER TABLE a ADD COLUMN y DEFAULT 2",
    "UPDATE a SET y = 3 WHERE x = 1",
  ];
  migrate(opened, steps.slice(0, 1));
  assert.equal(version(opened), 1);
  opened.run("INSERT INTO a (x) VALUES (1), (5)");
  migrate(opened, steps);
  migrate(opened, steps);
  assert.equal(version(opened), 3);
  assert.deepEqual(
    opened.all<{ x: number; y: number }>("SELECT x, y FROM a").map(({ x, y }) => [x, y]),
    [
      [1, 3],
      [5, 2],
    ],
  );
});

test("a step that fails leaves the version before it, whole", (t) => {
  const opened = database(t);
  const bad = "CREATE TABLE b (x); INSERT INTO no_such_table VALUES (1)";
  assert.throws(() => migrate(opened, ["CREATE TABLE a (x)", bad]), /no_such_table/);
  assert.equal(version(opened), 1);
  assert.equal(opened.get("SELECT 1 FROM sqlite_schema WHERE name = 'b'"), undefined);
  migrate(opened, ["CREATE TABLE a (x)", "CREATE TABLE b (x)"]);
  assert.equal(version(opened), 2);
});

test("what other programs left behind is not touched", (t) => {
  const opened = database(t);
  opened.execute("CREATE TABLE theirs (x)");
  assert.throws(() => migrate(opened), { reason: "NOT_SUPPORTED" });
  assert.equal(version(opened), 0);
});

test("released steps do not change: a database of each version still comes to be the present one", (t) => {
  const fresh = database(t);
  migrate(fresh);
  for (let from = 1; from <= MIGRATIONS.length; from += 1) {
    const old = database(t);
    migrate(old, MIGRATIONS.slice(0, from));
    migrate(old);
    const tables = "SELECT name, sql FROM sqlite_schema ORDER BY name";
    assert.deepEqual(old.all(tables), fresh.all(tables));
  }
});
