import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { preamble } from "../support/preamble.ts";

let haplane: TestHaplane;
const state = () => join(haplane.dir, "state");
const database = () => join(state(), "haplane.db");

before(async () => {
  haplane = await startHaplane(
    (statsSocket) => `${preamble(statsSocket)}backend site\n    server a 127.0.0.1:18001 id 1 weight 5\n`,
  );
});
after(() => haplane.stop());

/** Its log files would heal a damaged database. */
function forgetLog(): void {
  for (const suffix of ["-wal", "-shm"]) rmSync(database() + suffix, { force: true });
}

const damages: Readonly<Record<string, () => void>> = {
  "has garbage in its middle"() {
    forgetLog();
    const bytes = readFileSync(database());
    bytes.fill(0xa5, 4096, bytes.length - 100);
    writeFileSync(database(), bytes);
  },
  "is cut off"() {
    forgetLog();
    truncateSync(database(), Math.floor(statSync(database()).size / 2));
  },
  "is no database"() {
    forgetLog();
    writeFileSync(database(), "somebody's notes\n".repeat(1_000));
  },
};

for (const [damage, make] of Object.entries(damages))
  test(`haplane starts with a state database that ${damage}: it is set aside and said, HAProxy and its file are as before`, async () => {
    const worker = await haplane.worker();
    const file = readFileSync(haplane.config);
    const logged = haplane.log().length;
    const damaged = () => readdirSync(state()).filter((name) => /damaged-[^-]*(?:-\d+)?$/.test(name));
    const aside = new Set(damaged());
    let content: Buffer | undefined;
    await haplane.crash(async () => {
      make();
      content = readFileSync(database());
    });
    assert.match(haplane.log().slice(logged), /the state database was damaged: it is set aside/);
    const [kept, ...others] = damaged().filter((name) => !aside.has(name));
    assert.deepEqual([kept === undefined, others], [false, []]);
    assert.deepEqual(readFileSync(join(state(), kept as string)), content, "it is kept as it was");
    assert.deepEqual(await haplane.worker(), worker);
    assert.deepEqual(readFileSync(haplane.config), file);
    const { revisions } = await haplane.call<{ revisions: { author: string }[] }>(
      "haplane.v1.Configuration/ListRevisions",
    );
    assert.equal(revisions.length, 1, "a new history begins with what the file holds");
  });

test("an empty state database is a new one, and nothing else changes", async () => {
  const worker = await haplane.worker();
  const file = readFileSync(haplane.config);
  await haplane.crash(async () => {
    forgetLog();
    truncateSync(database());
  });
  assert.deepEqual(await haplane.worker(), worker);
  assert.deepEqual(readFileSync(haplane.config), file);
});
