import assert from "node:assert/strict";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import { systemClock } from "../../src/lib/clock.ts";
import { MIGRATIONS } from "../../src/store/schema.ts";
import { openStore } from "../../src/store/store.ts";
import { startHaplane } from "../support/haplane.ts";
import { haproxyBinary } from "../support/haproxy.ts";
import { preamble } from "../support/preamble.ts";
import { runHaplane } from "../support/run-haplane.ts";

/* `states/version-N.sql` is what the haplane of version N of the schema wrote, as SQL. It never changes. */

const PATH = "/etc/haproxy/haproxy.cfg";
const NEWEST = MIGRATIONS.length;
const VERSIONS = Array.from({ length: NEWEST }, (_, index) => index + 1);

const stateOf = (version: number) =>
  readFileSync(new URL(`states/version-${version}.sql`, import.meta.url), "utf8");

/** Makes the state database that a version has left. */
function restore(database: string, version: number, path = PATH): void {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(database + suffix, { force: true });
  const made = new DatabaseSync(database);
  made.exec(stateOf(version).replaceAll(PATH, path));
  made.close();
}

function directory(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), "haplane-upgrade-"));
  t.after(() => rmSync(made, { recursive: true }));
  return made;
}

const contentOf = (weight: number) => `backend site\n    server one 127.0.0.1:1 weight ${weight}\n`;

test("there is a state of every version that the schema has had", () => {
  const found = globSync("states/version-*.sql", { cwd: import.meta.dirname }).sort();
  assert.deepEqual(
    found,
    VERSIONS.map((version) => `states/version-${version}.sql`),
  );
});

for (const version of VERSIONS)
  test(`all that version ${version} kept is there for this one, and more can be written`, async (t) => {
    const state = directory(t);
    restore(join(state, "haplane.db"), version);
    const lines: Record<string, unknown>[] = [];
    const logger = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
    const store = await openStore(state, { clock: systemClock, logger, pid: process.pid });
    t.after(() => store.close());
    assert.deepEqual(
      lines.map(({ from, to }) => ({ from, to })),
      version === NEWEST ? [] : [{ from: version, to: NEWEST }],
      "the versions are told",
    );
    const [, epoch] = /installation \(.*?\) VALUES \(1, X'([0-9a-f]+)'/.exec(stateOf(version)) ?? [];
    assert.equal(store.epoch, Buffer.from(epoch as string, "hex").toString("base64url"));
    const revisions = await store.revisions.list({ limit: 10 });
    assert.deepEqual(
      revisions.map(({ number, author, message, lane }) => ({ number, author, message, lane })),
      [3, 2, 1].map((number) => ({
        ...{ number, author: "admin", message: `revision ${number}` },
        lane: number === 1 ? "external" : "reload",
      })),
    );
    for (const { number } of revisions) {
      const pieces: Uint8Array[] = [];
      for await (const piece of store.revisions.read(number, PATH)) pieces.push(piece);
      assert.equal(Buffer.concat(pieces).toString(), contentOf(number));
    }
    assert.deepEqual([store.newestRevision, store.newestReload], [3, 1]);
    assert.equal((await store.reloads.get(1)).output, "Success=1");
    assert.deepEqual(
      (await store.sources.list()).map(({ name }) => name),
      ["sources/kept"],
    );
    assert.equal(Buffer.from((await store.meta("kept")) ?? []).toString(), "as it was");
    assert.deepEqual(
      (await store.transactions()).map(({ name }) => name),
      version < 2 ? [] : ["transactions/kept"],
    );
    const answer = await store.answer("admin", "kept");
    assert.equal(answer && Buffer.from(answer.answer).toString(), version < 2 ? undefined : "answer");
    const files = await store.fileVersions.newest();
    assert.deepEqual(
      files.map(({ file, number }) => [file, number]),
      version < 3 ? [] : [["spoe/agent.conf", 1]],
    );
    await store.write([
      { kind: "put-meta", name: "new", value: Buffer.from("x") },
      {
        kind: "append-file-version",
        version: {
          ...{ file: "spoe/new.conf", number: 1, time: 1, author: "a", message: "", revision: 0 },
          ...{ resources: [], sha256: "0".repeat(64), content: Buffer.from("x") },
        },
      },
    ]);
  });

test("haplane goes on from the state of an older one, and says so", async (t) => {
  const haplane = await startHaplane((statsSocket) => `${preamble(statsSocket)}backend site\n`);
  t.after(() => haplane.stop());
  const database = join(haplane.dir, "state", "haplane.db");
  for (const version of VERSIONS) {
    const logged = haplane.log().length;
    await haplane.crash(async () => restore(database, version, haplane.config));
    const { revisions } = await haplane.call<{ revisions: { name: string; author: string }[] }>(
      "haplane.v1.Configuration/ListRevisions",
    );
    assert.deepEqual(
      revisions.map(({ name, author }) => `${name} ${author}`),
      ["revisions/4 external", "revisions/3 admin", "revisions/2 admin", "revisions/1 admin"],
      "what the file has become since then is an edit by hand",
    );
    const { sources } = await haplane.call<{ sources: { name: string; description: string }[] }>(
      "haplane.v1.ServiceDiscovery/ListSources",
    );
    assert.deepEqual(
      sources.map(({ name, description }) => [name, description]),
      [["sources/kept", "from before"]],
    );
    await haplane.call("haplane.v1.Configuration/Create", {
      resource: { name: `backends/after-${version}`, backend: {} },
    });
    const told = /"from":(\d+),"to":(\d+)[^\n]*of an older haplane was taken over/.exec(
      haplane.log().slice(logged),
    );
    assert.deepEqual(told?.slice(1).map(Number), version === NEWEST ? undefined : [version, NEWEST]);
  }
});

test("the state of a newer haplane is refused in a sentence and left as it is", (t) => {
  const dir = directory(t);
  const state = join(dir, "state");
  const config = join(dir, "haproxy.cfg");
  writeFileSync(config, "");
  const args = [
    ...["serve", `--state-dir=${state}`, `--config=${config}`, `--haproxy=${haproxyBinary}`],
    ...["--grpc=127.0.0.1:0", "--connect=127.0.0.1:0"],
    ...["ssl-certs", "maps", "general", "spoe"].map((name) => `--${name}-dir=${join(dir, name)}`),
  ];
  const first = runHaplane(["token", "create", "a", "viewer", `--state-dir=${state}`]);
  assert.equal(first.code, 0, first.error);
  const database = join(state, "haplane.db");
  restore(database, NEWEST);
  const made = new DatabaseSync(database);
  made.exec(`CREATE TABLE of_the_future (x); PRAGMA user_version = ${NEWEST + 5}`);
  made.close();
  const before = readFileSync(database);
  const { code, error } = runHaplane(args);
  assert.equal(code, 1);
  assert.match(
    error,
    new RegExp(
      `The state database has version ${NEWEST + 5}; this haplane knows versions up to ${NEWEST}\\. Start the haplane that wrote it, or use another state directory`,
    ),
  );
  assert.deepEqual(readFileSync(database), before);
});
