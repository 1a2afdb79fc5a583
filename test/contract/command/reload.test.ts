import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kill } from "node:process";
import { after, before, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { createAuthority, type IssueOptions } from "../../support/certificates.ts";
import { startHaplane, type TestHaplane } from "../../support/haplane.ts";
import { preamble } from "../../support/preamble.ts";
import { runHaplane } from "../../support/run-haplane.ts";
import { waitFor } from "../../support/wait.ts";

const dir = mkdtempSync(join(tmpdir(), "haplane-reload-"));
const authority = createAuthority();
const [certificate, key, settings, notified] = ["cert.pem", "key.pem", "haplane.yaml", "notified"].map(
  (name) => join(dir, name),
) as [string, string, string, string];

function issue(options?: IssueOptions): string {
  const issued = authority.issue(["localhost"], options);
  writeFileSync(certificate, issued.certificate);
  writeFileSync(key, issued.key);
  return issued.fingerprint256;
}

/** Stands for systemd's program: writes down what it was told. */
function fakeNotify(): void {
  const program = join(dir, "systemd-notify");
  writeFileSync(program, `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >> ${notified}\n`);
  chmodSync(program, 0o755);
}

let haplane: TestHaplane;
let first: string;
before(async () => {
  first = issue();
  fakeNotify();
  writeFileSync(settings, "log_level: info\n");
  process.env.NOTIFY_SOCKET = "/run/notify";
  const path = process.env.PATH;
  process.env.PATH = `${dir}:${path}`;
  haplane = await startHaplane(
    (statsSocket) => `${preamble(statsSocket)}backend site\n`,
    [`--settings=${settings}`, `--tls-certificate=${certificate}`, `--tls-key=${key}`],
  );
  process.env.PATH = path;
  delete process.env.NOTIFY_SOCKET;
});
after(async () => {
  await haplane.stop();
  rmSync(dir, { recursive: true });
});

function call(authorization: string, method = "Configuration/GetVersion"): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({
      socketPath: join(haplane.dir, "state", "connect.sock"),
      path: `/haplane.v1.${method}`,
      method: "POST",
      headers: { "content-type": "application/json", authorization },
    });
    sent.on("error", reject);
    sent.on("response", (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.end("{}");
  });
}

function token(...words: string[]) {
  return runHaplane(["token", ...words, `--state-dir=${join(haplane.dir, "state")}`]);
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

async function hangUp(line: RegExp): Promise<void> {
  const lines = () =>
    haplane
      .log()
      .split("\n")
      .filter((one) => line.test(one)).length;
  const known = lines();
  kill(haplane.pid, "SIGHUP");
  await waitFor("haplane to say so", () => lines() > known);
}

const READ = /were read anew/;
const FAILED = /could not be read anew/;

/** The fingerprint of the certificate that the Connect port serves. */
async function served(): Promise<string> {
  const [, port] = /"connect":\{"kind":"tcp","host":"127.0.0.1","port":(\d+)/.exec(haplane.log()) ?? [];
  const socket = connectTls({
    host: "127.0.0.1",
    port: Number(port),
    servername: "localhost",
    ca: authority.certificate,
  });
  try {
    await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
    return socket.getPeerCertificate().fingerprint256;
  } finally {
    socket.destroy();
  }
}

test("the service manager is told when haplane serves", () => {
  assert.match(readFileSync(notified, "utf8"), new RegExp(`^/run/notify --pid=${haplane.pid} READY=1\n`));
});

test("SIGHUP brings tokens, users, levels and certificates, and an open watch goes on", async () => {
  const admin = readFileSync(join(haplane.dir, "state", "admin.token"), "utf8").trim();
  let gone = false;
  const watch = request({
    socketPath: join(haplane.dir, "state", "connect.sock"),
    path: "/haplane.v1.Events/Watch",
    method: "POST",
    headers: { "content-type": "application/connect+json", authorization: `Bearer ${admin}` },
  });
  watch.on("error", () => {});
  const open = new Promise<void>((resolve) => {
    watch.on("response", (response) => {
      response.on("data", () => resolve());
      response.on("close", () => {
        gone = true;
      });
    });
  });
  const message = Buffer.from('{"includeCurrent":true}');
  watch.end(Buffer.concat([Buffer.of(0, 0, 0, 0, message.length), message]));
  await open;

  const made = token("create", "mesh", "viewer");
  assert.equal(made.code, 0, made.error);
  const bearer = `Bearer ${made.out.trim()}`;
  assert.doesNotMatch(
    readFileSync(join(haplane.dir, "state", "tokens"), "utf8"),
    new RegExp(made.out.trim()),
  );
  assert.equal(await call(bearer), 401, "not before the signal");
  writeFileSync(settings, "log_level: debug\nusers:\n  - {name: tom, password: hunter2, role: viewer}\n");
  const second = issue();
  assert.equal(await served(), first);

  await hangUp(READ);
  assert.equal(await call(bearer), 200);
  assert.equal(await call(bearer, "Configuration/Apply"), 403);
  assert.equal(await call(basic("tom", "hunter2")), 200);
  assert.equal(await call(basic("tom", "hunter2"), "Configuration/Apply"), 403);
  assert.equal(await served(), second);
  assert.match(haplane.log(), /"level":"debug"[^\n]*"part":"rpc"[^\n]*GetVersion/);

  assert.equal(token("delete", "mesh").code, 0);
  await hangUp(READ);
  assert.equal(await call(bearer), 401);
  assert.equal(gone, false, "the watch is still open");
  watch.destroy();
});

test("a certificate that has expired, or soon will, is served and told of, at the start and on SIGHUP", async () => {
  const told = (what: RegExp) =>
    haplane
      .log()
      .split("\n")
      .filter((line) => line.includes('"level":"warn"') && what.test(line)).length;
  // What an authority issues in tests is valid for less than certificate_notice.
  assert.ok(told(/cert\.pem ends soon, on/) > 0);
  issue({ notAfter: new Date(Date.now() - 1_000) });
  await hangUp(READ);
  assert.equal(told(/cert\.pem has expired: it ended on/), 1);
  await assert.rejects(served(), /expired/);
  const before = told(/cert\.pem/);
  issue({ notAfter: new Date(Date.now() + 99 * 86_400_000) });
  await hangUp(READ);
  assert.equal(told(/cert\.pem/), before, "nothing is told of one that is valid for long");
});

test("what cannot be used changes nothing", async () => {
  const before = await served();
  for (const text of ["users: [{name: tom}]\n", "log_level: loud\n"]) {
    writeFileSync(settings, text);
    await hangUp(FAILED);
  }
  writeFileSync(settings, "log_level: info\n");
  writeFileSync(certificate, "none");
  await hangUp(FAILED);
  assert.equal(await served(), before);
  assert.equal(await call(basic("tom", "hunter2")), 200, "as it was");
  issue();
  await hangUp(READ);
  assert.equal(await call(basic("tom", "hunter2")), 401);
});

test("what needs a start is named", async () => {
  writeFileSync(settings, "max_streams: 7\n");
  await hangUp(READ);
  assert.match(haplane.log(), /"settings":\["limits"\][^\n]*taken at the next start/);
});

test("tokens are listed by name and role, and mistakes are told", () => {
  const made = token("create", "board", "operator");
  assert.equal(made.code, 0);
  assert.match(made.out, /^[\w-]{43}\n$/, "the token and nothing else, for scripts");
  const file = join(haplane.dir, "state", "tokens");
  assert.equal(
    made.error,
    `${file} is written. A haplane that runs as a service reads it on SIGHUP (systemctl reload haplane), any other when it is started.\n`,
  );
  assert.equal(token("list").out, "board operator\n");
  for (const [words, said] of [
    [["create", "board", "viewer"], /has a token of the name board already/],
    [["create", "a", "root"], /write a role: viewer, operator, editor, admin/],
    [["create", "../a", "viewer"], /a token's name has/],
    [["delete", "nobody"], /has no token of the name nobody/],
    [["make"], /haplane token create NAME ROLE/],
  ] as const) {
    const answer = token(...words);
    assert.equal(answer.code, 2);
    assert.match(answer.error, said);
  }
});
