import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { createAuthority } from "../../support/certificates.ts";
import { startHaplane } from "../../support/haplane.ts";
import { preamble } from "../../support/preamble.ts";
import { root } from "../../support/programs.ts";
import { runHaplane } from "../../support/run-haplane.ts";
import { waitFor } from "../../support/wait.ts";

/** What is the machine's own, beside the state directory. */
const FILES = ["haproxy.cfg", "ssl-certs", "maps", "general", "spoe"];

const AGENT = `[one]
spoe-agent agent
    messages seen
    timeout processing 10ms
    use-backend site
spoe-message seen
    event on-client-session
`;

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

test("all of a machine is put back from copies that were made under writers", async (t) => {
  const haplane = await startHaplane((statsSocket) => `${preamble(statsSocket)}backend site\n`);
  t.after(() => haplane.stop());
  const state = join(haplane.dir, "state");
  const aside = join(haplane.dir, "copies");
  mkdirSync(aside, { mode: 0o700 });
  const { certificate, key } = createAuthority().issue(["localhost"]);
  const put = (kind: string, storageName: string, text: string) =>
    haplane.call("haplane.v1.Storage/PutFile", {
      ...{ kind: `FILE_KIND_${kind}`, storageName, data: Buffer.from(text).toString("base64") },
    });
  await put("MAP", "hosts.map", "a b\n");
  await put("CERTIFICATE", "site.pem", certificate + key);
  await put("GENERAL", "page.http", "HTTP/1.0 200 OK\n\n");
  writeFileSync(join(haplane.dir, "spoe", "agent.conf"), AGENT);
  await haplane.call("haplane.v1.ServiceDiscovery/CreateSource", {
    sourceId: "kept",
    source: { enabled: false, consul: { address: "127.0.0.1" } },
  });
  const tokenFlags = [`--state-dir=${state}`];
  const token = runHaplane(["token", "create", "board", "viewer", ...tokenFlags]);
  assert.equal(token.code, 0, token.error);

  // Writers go on until the copies are made; each remembers what it was promised.
  const promised: string[] = [];
  let copied = false;
  const write = async (writer: number) => {
    for (let n = 0; !copied; n += 1) {
      const name = `backends/site/servers/w${writer}-${n}`;
      const server = { address: "127.0.0.1", port: 1 };
      await haplane.call("haplane.v1.Configuration/Create", { resource: { name, server } });
      promised.push(name);
      await put("MAP", `w${writer}.map`, `n ${n}\n`);
    }
  };
  const writers = [write(1), write(2)];
  await waitFor("the writers to write", () => promised.length >= 2);
  const before = [...promised];
  const made = await new Promise<number | null>((resolve, reject) => {
    const args = [join(root, "src", "main.ts"), "backup", join(aside, "state"), ...tokenFlags];
    spawn(process.execPath, args, { stdio: "ignore" }).once("error", reject).once("close", resolve);
  });
  assert.equal(made, 0);
  // What haplane has beside a file for a moment may be gone when its turn comes.
  const filter = (path: string) => !basename(path).startsWith(".");
  for (const name of FILES)
    cpSync(join(haplane.dir, name), join(aside, name), { recursive: true, preserveTimestamps: true, filter });
  copied = true;
  await Promise.all(writers);
  const kept = readdirSync(join(aside, "state")).sort();
  assert.deepEqual(kept, ["admin.token", "haplane.db", "tokens"]);

  await haplane.crash(async () => {
    for (const name of FILES) rmSync(join(haplane.dir, name), { recursive: true });
    for (const name of ["haplane.db", "haplane.db-wal", "haplane.db-shm", "admin.token", "tokens"])
      rmSync(join(state, name), { force: true });
    for (const name of FILES) cpSync(join(aside, name), join(haplane.dir, name), { recursive: true });
    for (const name of kept) cpSync(join(aside, "state", name), join(state, name));
  });

  const { revisions } = await haplane.call<{
    revisions: { name: string; author: string; resources?: string[] }[];
  }>("haplane.v1.Configuration/ListRevisions", { pageSize: 1_000 });
  const told = revisions.flatMap(({ resources = [] }) => resources);
  const { resources } = await haplane.call<{ resources: { name: string }[] }>(
    "haplane.v1.Configuration/List",
    { parent: "backends/site/servers", pageSize: 1_000 },
  );
  const names = resources.map(({ name }) => name);
  for (const name of before) {
    assert.ok(told.includes(name), `the history tells of ${name}`);
    assert.ok(names.includes(name), `${name} is there`);
  }
  const { files } = await haplane.call<{ files: { name: string }[] }>("haplane.v1.Storage/ListFiles", {
    parent: "files/-",
  });
  for (const name of ["files/maps/hosts.map", "files/certificates/site.pem", "files/general/page.http"])
    assert.ok(
      files.some((file) => file.name === name),
      name,
    );
  assert.equal(readFileSync(join(haplane.dir, "maps", "hosts.map"), "utf8"), "a b\n");
  assert.equal(readFileSync(join(haplane.dir, "ssl-certs", "site.pem"), "utf8"), certificate + key);
  for (const path of ["ssl-certs/site.pem", "state/admin.token", "state/tokens", "state/haplane.db"])
    assert.equal(statSync(join(haplane.dir, path)).mode & 0o777, 0o600, path);
  const spoe = await haplane.call<{ files: { name: string }[] }>("haplane.v1.Spoe/ListFiles");
  assert.deepEqual(
    spoe.files.map(({ name }) => name),
    ["spoe/agent.conf"],
  );
  const { sources } = await haplane.call<{ sources: { name: string }[] }>(
    "haplane.v1.ServiceDiscovery/ListSources",
  );
  assert.deepEqual(
    sources.map(({ name }) => name),
    ["sources/kept"],
  );
  assert.equal(runHaplane(["token", "list", ...tokenFlags]).out, "board viewer\n");
  await haplane.call("haplane.v1.Configuration/Create", {
    resource: { name: "backends/after", backend: {} },
  });
});

test("what cannot be copied is told", () => {
  assert.equal(runHaplane(["backup"]).code, 2);
  const { code, error } = runHaplane(["backup", `/nowhere/${Date.now()}`]);
  assert.equal(code, 1);
  assert.match(error, /no such file or directory/);
});
