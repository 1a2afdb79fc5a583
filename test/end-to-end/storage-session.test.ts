import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createAuthority } from "../support/certificates.ts";
import { startHaplane } from "../support/haplane.ts";
import { freePort } from "../support/ports.ts";
import { preamble } from "../support/preamble.ts";
import { reachIn, runSession } from "../support/session.ts";

test("the session of docs/storage.md runs as it is written", async (t) => {
  const haplane = await startHaplane(preamble);
  t.after(() => haplane.stop());
  const authority = createAuthority();
  for (const name of ["site.pem", "renewed.pem"]) {
    const { certificate, key } = authority.issue(["site.test"]);
    writeFileSync(join(haplane.dir, name), certificate + key);
  }
  const ports = new Map([
    [8082, await freePort()],
    [8443, await freePort()],
  ]);
  const printed = await runSession(
    { page: "storage.md", here: reachIn(haplane.dir, ports), prelude: `cd ${haplane.dir}` },
    [
      [1, /VIA_RELOAD/],
      [2, /"description":"managed map file".*"directive":"use_backend"/],
      [3, /VIA_RUNTIME[\s\S]*"key":"\/store"/],
      [4, /"via":"VIA_[A-Z]+"[\s\S]*"subject":"CN=site.test"/],
      [5, /VIA_RUNTIME/],
      [6, /RESOURCE_IN_USE/],
    ],
  );
  assert.doesNotMatch(printed, /PRIVATE KEY/);
  for (const name of ["maps", "ssl-certs"])
    assert.deepEqual(
      readdirSync(join(haplane.dir, name)).filter((file) => file.includes(".")),
      [],
    );
});
