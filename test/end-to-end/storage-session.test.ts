import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { createAuthority } from "../support/certificates.ts";
import { startHaplane } from "../support/haplane.ts";
import { fencedBlocks } from "../support/markdown.ts";
import { freePort } from "../support/ports.ts";
import { preamble } from "../support/preamble.ts";
import { root } from "../support/programs.ts";

test("the session of docs/storage.md runs as it is written", async (t) => {
  const haplane = await startHaplane((statsSocket) => `${preamble(statsSocket)}`);
  t.after(() => haplane.stop());
  mkdirSync(join(haplane.dir, ".haplane"));
  symlinkSync(join(haplane.dir, "state"), join(haplane.dir, ".haplane", "state"));
  const authority = createAuthority();
  for (const name of ["site.pem", "renewed.pem"]) {
    const { certificate, key } = authority.issue(["site.test"]);
    writeFileSync(join(haplane.dir, name), certificate + key);
  }
  const page = readFileSync(join(root, "docs", "storage.md"), "utf8");
  const blocks = fencedBlocks(page).map((block) => block.text);
  const ports = new Map([
    ["127.0.0.1:8082", await freePort()],
    ["127.0.0.1:8443", await freePort()],
  ]);
  let script = [
    `curl() { command curl --unix-socket "$PWD/state/connect.sock" "$@"; }`,
    ...blocks.flatMap((block, index) => [`echo "== ${index}"`, block]),
  ].join("\n");
  for (const [address, port] of ports) script = script.replaceAll(address, `127.0.0.1:${port}`);
  const child = spawn("bash", ["-c", script], { cwd: haplane.dir, timeout: 120_000 });
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit"),
  ]);
  assert.equal(status, 0, stderr);
  assert.equal(stderr, "");
  const printed = stdout.split(/^== \d+\n/m).slice(1);
  const expected: readonly (readonly [block: number, said: RegExp])[] = [
    [1, /VIA_RELOAD/],
    [2, /"description":"managed map file".*"directive":"use_backend"/],
    [3, /VIA_RUNTIME[\s\S]*"key":"\/store"/],
    [4, /"via":"VIA_[A-Z]+"[\s\S]*"subject":"CN=site.test"/],
    [5, /VIA_RUNTIME/],
    [6, /RESOURCE_IN_USE/],
  ];
  for (const [block, said] of expected) assert.match(printed[block] ?? "", said, `block ${block}`);
  assert.doesNotMatch(stdout, /"code":"(?!failed_precondition)/);
  assert.doesNotMatch(stdout, /PRIVATE KEY/);
  for (const name of ["maps", "ssl-certs"])
    assert.deepEqual(
      readdirSync(join(haplane.dir, name)).filter((file) => file.includes(".")),
      [],
    );
});
