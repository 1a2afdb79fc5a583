import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { DomainError } from "../../../src/lib/errors.ts";
import { createAuthority } from "../../support/certificates.ts";
import { handshake } from "../../support/handshake.ts";
import { judgingHaproxys } from "../../support/judging-haproxys.ts";
import { freePort } from "../../support/ports.ts";
import { storageWorld, store } from "../../support/storage-world.ts";

const authority = createAuthority();
const issue = (name: string) => {
  const { certificate, key, fingerprint256 } = authority.issue([name]);
  return { bundle: certificate + key, fingerprint256 };
};

for (const { name: haproxy, binary } of judgingHaproxys)
  test(`a certificate of a directory that a bind names comes, changes and goes without a reload, in ${haproxy}`, async () => {
    const [port, other] = [await freePort(), await freePort()];
    const [first, second] = [issue("first.test"), issue("second.test")];
    await using world = await storageWorld(
      ({ sslCerts }) => `global
  crt-base ${sslCerts}
frontend www
  mode http
  timeout client 5s
  bind 127.0.0.1:${port} ssl crt ${sslCerts}
  bind 127.0.0.1:${other} ssl crt first.pem
`,
      async ({ sslCerts }) => writeFile(join(sslCerts, "first.pem"), first.bundle),
      binary,
    );
    const { storage } = await world.begin();
    const { file, applied } = await store(
      storage,
      { kind: "certificates", name: "second.pem" },
      second.bundle,
    );
    assert.equal(applied.via, "runtime");
    assert.deepEqual(
      file.referrers.map(({ directive, line }) => [directive, line]),
      [["bind", 9]],
    );
    const served = () => handshake({ port, servername: "second.test", ca: authority.certificate });
    assert.equal((await served()).fingerprint256, second.fingerprint256);
    assert.equal(world.reloads(), 0);
    await world.reload();
    assert.equal((await served()).fingerprint256, second.fingerprint256);

    const renewed = issue("second.test");
    const again = await store(storage, { kind: "certificates", name: "second.pem" }, renewed.bundle);
    assert.equal(again.applied.via, "runtime");
    assert.equal((await served()).fingerprint256, renewed.fingerprint256);

    // By its name and by `crt-base`, and by the directory.
    const { referrers } = await storage.get("certificates", "first.pem");
    assert.deepEqual(
      referrers.map(({ line }) => line),
      [10, 9],
    );
    const how = { etag: "", force: false, apply: "auto", author: "test" } as const;
    const gone = await storage.delete("certificates", "second.pem", how);
    assert.deepEqual([gone.via, gone.commands.length], ["runtime", 2], gone.reasons.join());
    assert.equal(
      (await served().catch((error: Error) => error.message)).toString().includes("altnames"),
      true,
    );
    assert.equal(await world.reload(), 2);
  });

test("what HAProxy could not start without is kept: a directory's last certificate, and a key that one counts on", async () => {
  const port = await freePort();
  const [split, whole] = [authority.issue(["split.test"]), issue("whole.test")];
  await using world = await storageWorld(
    ({ sslCerts }) => `frontend www
  mode http
  timeout client 5s
  bind 127.0.0.1:${port} ssl crt ${sslCerts}
`,
    async ({ sslCerts }) => {
      await writeFile(join(sslCerts, "split.pem"), split.certificate);
      await writeFile(join(sslCerts, "split.pem.key"), split.key);
    },
  );
  const { storage } = await world.begin();
  const remove = (name: string) =>
    storage.delete("certificates", name, { etag: "", force: false, apply: "auto", author: "test" });
  const isKept = (name: string) =>
    assert.rejects(remove(name), (error: DomainError) => error.reason === "RESOURCE_IN_USE", name);
  await isKept("split.pem.key");
  await isKept("split.pem");
  await store(storage, { kind: "certificates", name: "whole.pem" }, whole.bundle);
  await isKept("split.pem.key");
  await remove("split.pem");
  await world.reload();
  await remove("split.pem.key");
  await isKept("whole.pem");
  await world.reload();
});
