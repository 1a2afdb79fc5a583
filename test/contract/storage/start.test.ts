import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { ApplyMode, FileKind } from "../../../gen/haplane/v1/storage_pb.js";
import { createAuthority } from "../../support/certificates.ts";
import { configurationClient, failureOf } from "../../support/configuration-client.ts";
import { handshake } from "../../support/handshake.ts";
import { startHaplane } from "../../support/haplane.ts";
import { haproxyBinary } from "../../support/haproxy.ts";
import { freePort } from "../../support/ports.ts";
import { preamble } from "../../support/preamble.ts";
import { storageClient } from "../../support/storage-client.ts";

const authority = createAuthority();
const isRoot = process.getuid?.() === 0;
/** Whoever else there is; without root only oneself can be. */
const [UID, GID] = isRoot ? [65_533, 65_532] : [process.getuid!(), process.getgid!()];

test("files and directories belong to whom the settings say, whatever way a file goes, and HAProxy reads them", async (t) => {
  const port = await freePort();
  const haplane = await startHaplane(
    (statsSocket) => `${preamble(statsSocket)}backend none\n`,
    [`--storage-owner=${UID}`, `--storage-group=${GID}`],
  );
  t.after(() => haplane.stop());
  const { client, close } = storageClient(haplane, "grpc-js");
  t.after(close);
  const configuration = configurationClient(haplane, "grpc-js");
  t.after(configuration.close);
  const attributes = (path: string) => {
    const { uid, gid, mode } = statSync(path);
    return [uid, gid, (mode & 0o777).toString(8)];
  };
  const put = (kind: FileKind, storageName: string, data: string, apply?: ApplyMode) =>
    client.putFile({ kind, storageName, data: Buffer.from(data), ...(apply && { apply }) });
  for (const directory of ["ssl-certs", "ssl-certs/ca", "maps", "maps/acls", "general"])
    assert.deepEqual(attributes(join(haplane.dir, directory)), [UID, GID, "750"], directory);

  const issue = () => {
    const { certificate, key, fingerprint256 } = authority.issue(["site.test"]);
    return { bundle: certificate + key, fingerprint256 };
  };
  const { file } = await put(FileKind.CERTIFICATE, "site.pem", issue().bundle);
  assert.deepEqual(attributes(file!.path), [UID, GID, "600"]);
  const bind = { addresses: [`127.0.0.1:${port}`], ssl: true, crt: [file!.path] };
  await configuration.client.create({
    resource: { name: "frontends/tls", kind: { case: "frontend", value: { binds: [bind] } } },
  });
  for (const apply of [ApplyMode.UNSPECIFIED, ApplyMode.FORCE_RELOAD]) {
    const next = issue();
    await put(FileKind.CERTIFICATE, "site.pem", next.bundle, apply);
    assert.deepEqual(attributes(file!.path), [UID, GID, "600"]);
    const served = await handshake({ port, servername: "site.test", ca: authority.certificate });
    assert.equal(served.fingerprint256, next.fingerprint256);
  }
  // One that was put there by hand, open to all.
  const byHand = join(haplane.dir, "ssl-certs", "hand.pem");
  writeFileSync(byHand, issue().bundle, { mode: 0o644 });
  await put(FileKind.CERTIFICATE, "hand.pem", issue().bundle, ApplyMode.FORCE_RELOAD);
  assert.deepEqual(attributes(byHand), [UID, GID, "600"]);
  const fresh = await put(FileKind.MAP, "fresh.map", "a b\n", ApplyMode.FORCE_RELOAD);
  assert.deepEqual(attributes(fresh.file!.path), [UID, GID, "640"]);
});

test("a directory that cannot be used ends the start, with the setting's name", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "haplane-start-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const config = join(directory, "haproxy.cfg");
  writeFileSync(config, preamble(join(directory, "stats.sock")));
  writeFileSync(join(directory, "a-file"), "");
  const names = ["ssl-certs", "maps", "general", "spoe"];
  for (const name of names) {
    const child = spawn(process.execPath, [
      ...[join(import.meta.dirname, "../../../src/main.ts"), "serve", `--config=${config}`],
      ...[`--state-dir=${join(directory, "state")}`, `--haproxy=${haproxyBinary}`],
      ...names.map((other) => `--${other}-dir=${join(directory, other === name ? "a-file/below" : other)}`),
      ...["--grpc=127.0.0.1:0", "--connect=127.0.0.1:0"],
    ]);
    t.after(() => child.kill("SIGKILL"));
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (said += data));
    const [code] = await once(child, "close");
    assert.equal(code, 1, said);
    assert.match(said, new RegExp(`a-file/below.* \\(--${name}-dir\\) cannot be used .*ENOTDIR`), said);
  }
});

test("read-only: files are listed and sent, and nothing is made, stored or removed", async (t) => {
  const haplane = await startHaplane(
    (statsSocket) => `${preamble(statsSocket)}backend none\n`,
    ["--read-only"],
  );
  t.after(() => haplane.stop());
  const { client, close } = storageClient(haplane, "grpc-js");
  t.after(close);
  assert.throws(() => statSync(join(haplane.dir, "maps")), /ENOENT/);
  assert.deepEqual((await client.listFiles({ parent: "files/-" })).files, []);
  const map = { kind: FileKind.MAP, storageName: "hosts.map", data: Buffer.from("a b\n") };
  assert.equal((await failureOf(client.putFile(map))).reason, "NOT_SUPPORTED");
  const gone = client.deleteFile({ name: "files/maps/hosts.map" });
  assert.equal((await failureOf(gone)).reason, "NOT_SUPPORTED");
});
