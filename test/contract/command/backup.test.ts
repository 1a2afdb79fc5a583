import assert from "node:assert/strict";
import { copyFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startHaplane } from "../../support/haplane.ts";
import { preamble } from "../../support/preamble.ts";
import { runHaplane } from "../../support/run-haplane.ts";

interface Revisions {
  readonly revisions: readonly { readonly name: string }[];
}

test("a copy is made while haplane runs and writes, and haplane goes on from it", async (t) => {
  const haplane = await startHaplane((statsSocket) => `${preamble(statsSocket)}backend site\n`);
  t.after(() => haplane.stop());
  const create = (name: string) =>
    haplane.call("haplane.v1.Configuration/Create", { resource: { name: `backends/${name}`, backend: {} } });
  const revisions = async () =>
    (await haplane.call<Revisions>("haplane.v1.Configuration/ListRevisions")).revisions.map(
      ({ name }) => name,
    );
  await create("one");
  const known = await revisions();

  const state = join(haplane.dir, "state");
  const copy = join(haplane.dir, "copy");
  const writing = create("two");
  const made = runHaplane(["backup", copy, `--state-dir=${state}`]);
  assert.equal(made.code, 0, made.error);
  await writing;
  assert.deepEqual(readdirSync(copy).sort(), ["admin.token", "haplane.db"]);
  for (const name of readdirSync(copy)) assert.equal(statSync(join(copy, name)).mode & 0o777, 0o600);
  assert.equal(statSync(copy).mode & 0o777, 0o700);
  const again = runHaplane(["backup", copy, `--state-dir=${state}`]);
  assert.equal(again.code, 2);
  assert.match(again.error, /is there already/);

  await haplane.crash(async () => {
    for (const name of ["haplane.db", "haplane.db-wal", "haplane.db-shm"])
      rmSync(join(state, name), { force: true });
    copyFileSync(join(copy, "haplane.db"), join(state, "haplane.db"));
  });
  const restored = await revisions();
  for (const name of known) assert.ok(restored.includes(name), name);
  await create("three");
});

test("what cannot be copied is told", () => {
  assert.equal(runHaplane(["backup"]).code, 2);
  const { code, error } = runHaplane(["backup", `/nowhere/${Date.now()}`]);
  assert.equal(code, 1);
  assert.match(error, /no such file or directory/);
});
