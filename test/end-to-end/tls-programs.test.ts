import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createAuthority } from "../support/certificates.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { preamble } from "../support/preamble.ts";
import { findProgram } from "../support/programs.ts";

const dir = mkdtempSync(join(tmpdir(), "haplane-tls-"));
const file = (name: string, text: string) => {
  const path = join(dir, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
};
const authority = createAuthority();
const ca = file("ca.pem", authority.certificate);
const pair = (name: string, { certificate, key }: { certificate: string; key: string }) => ({
  certificate: file(`${name}.pem`, certificate),
  key: file(`${name}.key`, key),
});
const server = pair("server", authority.issue(["localhost"]));
const deploy = pair("deploy", authority.issue(["deploy.example"]));
const prometheus = pair("prometheus", authority.issue(["prometheus"]));
const unbound = pair("unbound", authority.issue(["unbound.example"]));
const stranger = pair("stranger", createAuthority("Another CA").issue(["deploy.example"]));

let haplane: TestHaplane;
let ports: { grpc: number; connect: number };
before(async () => {
  const settings = file(
    "haplane.yaml",
    `tls_certificate: ${server.certificate}
tls_key: ${server.key}
tls_ca: ${ca}
tls_client_role: none
bindings:
  - {role: operator, certificates: ["DNS:deploy.example"]}
  - {role: viewer, certificates: [CN=prometheus]}
`,
  );
  haplane = await startHaplane(
    (statsSocket) => `${preamble(statsSocket)}backend site\n`,
    [`--settings=${settings}`],
  );
  ports = haplane.ports;
});
after(async () => {
  await haplane.stop();
  rmSync(dir, { recursive: true });
});

type Pair = ReturnType<typeof pair>;

/** Runs a program to its end: its exit code, and all that it printed. */
function run(program: string, args: readonly string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], timeout: 20_000 });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => {
        output += chunk.toString();
      });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}

const curl = findProgram("curl");
const openssl = findProgram("openssl");
const grpcurl = findProgram("grpcurl");

/** The status of a call by curl, or curl's exit code when there is none. */
async function curlCall(method: string, shown?: Pair, headers: readonly string[] = []): Promise<string> {
  const { code, output } = await run(curl!, [
    ...[
      "-s",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code}",
      "--cacert",
      ca,
      "-H",
      "content-type: application/json",
      "-d",
      "{}",
    ],
    ...(shown === undefined ? [] : ["--cert", shown.certificate, "--key", shown.key]),
    ...headers.flatMap((header) => ["-H", header]),
    `https://localhost:${ports.connect}/haplane.v1.${method}`,
  ]);
  return code === 0 ? output : `exit ${code}`;
}

describe("curl", { skip: curl === undefined && "curl is not installed" }, () => {
  const read = "Configuration/GetVersion";
  const change = "ServiceDiscovery/CreateSource";
  const edit = "Configuration/Apply";

  test("by certificates, in the roles that bindings give", async () => {
    assert.equal(await curlCall(read, prometheus), "200");
    assert.equal(await curlCall(change, prometheus), "403");
    assert.equal(await curlCall(read, deploy), "200");
    assert.equal(await curlCall(change, deploy), "400", "it may, and has said nothing");
    assert.equal(await curlCall(edit, deploy), "403");
  });

  test("nobody else: unbound, strange, none, plain", async () => {
    assert.equal(await curlCall(read, unbound), "401");
    assert.match(await curlCall(read, stranger), /^exit [1-9]/);
    assert.equal(await curlCall(read), "401");
    assert.equal((await run(curl!, ["-s", `http://localhost:${ports.connect}/healthz`])).code !== 0, true);
  });

  test("by token too, which counts before the certificate", async () => {
    const token = readFileSync(join(haplane.dir, "state", "admin.token"), "utf8").trim();
    assert.equal(await curlCall(read, undefined, [`authorization: Bearer ${token}`]), "200");
    assert.equal(await curlCall(read, deploy, ["authorization: Bearer wrong"]), "401");
  });
});

describe("openssl s_client", { skip: openssl === undefined && "openssl is not installed" }, () => {
  const client = (port: number, args: readonly string[]) =>
    run(openssl!, [
      ...["s_client", "-connect", `127.0.0.1:${port}`, "-servername", "localhost", "-CAfile", ca],
      ...["-verify_return_error", "-alpn", "h2", ...args],
    ]);

  for (const name of ["grpc", "connect"] as const)
    test(`the ${name} port: verified, TLS 1.3 and 1.2, h2, and asks for certificates of our authority`, async () => {
      for (const version of ["-tls1_3", "-tls1_2"]) {
        const { output } = await client(ports[name], [version]);
        assert.match(output, /Verify return code: 0 \(ok\)/);
        assert.match(output, /ALPN protocol: h2/);
        assert.match(output, /Acceptable client certificate CA names\n.*CN\s?=\s?Test CA/);
      }
      assert.notEqual((await client(ports[name], ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"])).code, 0);
    });
});

describe("grpcurl", { skip: grpcurl === undefined && "grpcurl is not installed" }, () => {
  const call = (method: string, shown: Pair) =>
    run(grpcurl!, [
      ...["-cacert", ca, "-cert", shown.certificate, "-key", shown.key, "-servername", "localhost"],
      ...["-d", "{}", `127.0.0.1:${ports.grpc}`, `haplane.v1.${method}`],
    ]);

  test("by certificates", async () => {
    const read = await call("Configuration/GetVersion", prometheus);
    assert.equal(read.code, 0, read.output);
    assert.match((await call("Configuration/Apply", deploy)).output, /PermissionDenied/);
    assert.match((await call("Configuration/GetVersion", unbound)).output, /Unauthenticated/);
  });
});
