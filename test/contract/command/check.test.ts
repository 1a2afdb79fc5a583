import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createAuthority } from "../../support/certificates.ts";
import { haproxyBinary } from "../../support/haproxy.ts";
import { root } from "../../support/programs.ts";
import { runHaplane } from "../../support/run-haplane.ts";

const dir = mkdtempSync(join(tmpdir(), "haplane-check-"));
after(() => rmSync(dir, { recursive: true }));

const GOOD =
  "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\nfrontend a\n bind 127.0.0.1:8080\n";

function file(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

test("what can be used ends with 0", () => {
  const config = file("good.cfg", GOOD);
  const settings = file("good.yaml", `config: [${config}]\nhaproxy: ${haproxyBinary}\n`);
  const { code, out, error } = runHaplane(["check", `--settings=${settings}`]);
  assert.deepEqual({ code, error }, { code: 0, error: "" });
  assert.match(out, /^settings: can be used\nconfiguration .*good\.cfg: HAProxy accepts it\n/);
});

test("a configuration that HAProxy refuses ends with 1, and its words with their lines", () => {
  const config = file("bad.cfg", "defaults\n mode http\n nonsense here\n");
  const { code, out } = runHaplane(["check", `--config=${config}`, `--haproxy=${haproxyBinary}`]);
  assert.equal(code, 1);
  assert.match(out, /HAProxy refuses it\n.*bad\.cfg:3: alert: unknown keyword 'nonsense'/s);
});

test("a certificate that has ended is told of, and that one ends soon", () => {
  const config = file("tls.cfg", GOOD);
  for (const [notAfter, says] of [
    [
      new Date(Date.now() - 1_000),
      /^settings: can be used\n {2}warning: .*ended\.pem has expired: it ended on /,
    ],
    [new Date(Date.now() + 86_400_000), /^settings: can be used\n {2}warning: .*ended\.pem ends soon, on /],
    [new Date(Date.now() + 86_400_000 * 99), /^settings: can be used\nconfiguration /],
  ] as const) {
    const issued = createAuthority().issue(["localhost"], { notAfter });
    const tls = [
      `--tls-certificate=${file("ended.pem", issued.certificate)}`,
      `--tls-key=${file("ended.key", issued.key)}`,
    ];
    const { code, out } = runHaplane(["check", `--config=${config}`, `--haproxy=${haproxyBinary}`, ...tls]);
    assert.equal(code, 0, out);
    assert.match(out, says);
  }
});

test("settings that cannot be used end with 2, and the place", () => {
  const settings = file("bad.yaml", "grpc: here\n");
  const read = runHaplane(["check"], { HAPLANE_SETTINGS: settings });
  assert.equal(read.code, 2);
  assert.match(read.error, /bad\.yaml:1:7: grpc is "here"/);
  const tokens = file("tokens", "# none\nmesh root sha256:00\n");
  const listed = runHaplane(["check", `--tokens-file=${tokens}`]);
  assert.equal(listed.code, 2);
  assert.match(listed.error, /tokens:2: is not `NAME ROLE sha256:HASH`/);
  const tls = runHaplane(["check", `--tls-certificate=${dir}/none`, `--tls-key=${dir}/none`]);
  assert.equal(tls.code, 2);
  assert.match(tls.error, /none cannot be read/);
});

test("the version is the package's", () => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  assert.deepEqual(runHaplane(["--version"]), { code: 0, out: `haplane ${version}\n`, error: "" });
});
