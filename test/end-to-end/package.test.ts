import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { findExecutable } from "../../src/lib/find-executable.ts";
import { startHaplane } from "../support/haplane.ts";
import { root } from "../support/programs.ts";
import { waitFor } from "../support/wait.ts";

const run = promisify(execFile);

/** The packages that haplane needs are in npm's cache since the set-up. */
const INSTALL = ["install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];

const configure = (statsSocket: string) => `global
    stats socket ${statsSocket} level admin
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
backend web
    server web1 127.0.0.1:9
`;

describe("the package that npm pack makes, installed elsewhere", () => {
  const dir = mkdtempSync(join(tmpdir(), "haplane-package-"));
  const home = join(dir, "home");
  const haplane = join(home, "node_modules", ".bin", "haplane");
  /** With the oldest Node that the package says it runs on. */
  const environment = { PATH: `${dirname(haplane)}:${process.env.PATH}` };

  before(async () => {
    const { version, engines } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      version: string;
      engines: { node: string };
    };
    const oldest = engines.node.replace(">=", "");
    const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` };
    await run("npm", ["pack", "--pack-destination", dir], { cwd: root, env });
    const archive = join(dir, `haplane-${version}.tgz`);
    await run("npm", [...INSTALL, "--prefix", home, archive, `node@${oldest}`], { cwd: dir, env });
    const { stdout } = await run("node", ["--version"], { env: { ...process.env, ...environment } });
    assert.match(stdout, new RegExp(`^v${oldest.replaceAll(".", "\\.")}\\.`));
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  const inPackage = (...path: string[]) => join(home, "node_modules", "haplane", ...path);

  test("holds the programs, the protos and the unit of systemd, and neither sources nor tests", () => {
    for (const path of [
      ["dist", "main.js"],
      ["proto", "haplane", "v1", "configuration.proto"],
      ["packaging", "systemd", "haplane.service"],
      ["README.md"],
    ])
      assert.ok(existsSync(inPackage(...path)), `${path.join("/")} is missing`);
    for (const path of ["src", "test", "scripts", "node_modules/typescript"])
      assert.ok(!existsSync(inPackage(path)), `${path} is in it`);
  });

  test("haplane inspect reads a configuration", async () => {
    const file = join(dir, "haproxy.cfg");
    writeFileSync(file, configure("/run/stats.sock"));
    const { stdout } = await run(haplane, ["inspect", "--json", file], {
      env: { ...process.env, ...environment },
    });
    assert.equal(JSON.parse(stdout).files.length, 1);
  });

  test("haplane serve runs HAProxy, tells systemd that it is ready and that it stops, and leaves HAProxy alone with that", async () => {
    // What systemd hears is written down by a systemd-notify that stands before the real one.
    const told = join(dir, "told");
    const bin = join(dir, "systemd-notify");
    writeFileSync(bin, `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >> '${told}'\n`);
    chmodSync(bin, 0o755);
    const served = await startHaplane(configure, [], {
      command: [haplane],
      environment: { PATH: `${dir}:${environment.PATH}`, NOTIFY_SOCKET: "/run/systemd/notify" },
    });
    const lines = () => (existsSync(told) ? readFileSync(told, "utf8").trimEnd().split("\n") : []);
    try {
      await waitFor("systemd to be told", () => lines().length === 1);
      const servers = await served.call<{ servers: object[] }>("haplane.v1.Runtime/ListServers", {
        parent: "backends/web",
      });
      assert.equal(servers.servers.length, 1);
      const { pid } = await served.worker();
      const environ = readFileSync(`/proc/${pid}/environ`, "utf8");
      assert.doesNotMatch(environ, /NOTIFY_SOCKET/);
    } finally {
      await served.stop();
    }
    assert.deepEqual(lines(), [
      `/run/systemd/notify --pid=${served.pid} READY=1`,
      `/run/systemd/notify --pid=${served.pid} STOPPING=1`,
    ]);
  });
});

test("the unit of systemd waits for haplane, ends only haplane, and systemd finds nothing wrong with it", async (t) => {
  const unit = readFileSync(join(root, "packaging", "systemd", "haplane.service"), "utf8");
  for (const setting of ["Type=notify", "NotifyAccess=all", "KillMode=process", "Restart=always"])
    assert.match(unit, new RegExp(`^${setting}$`, "m"));
  const systemdAnalyze = findExecutable("systemd-analyze", process.env.PATH);
  if (systemdAnalyze === undefined) return t.diagnostic("systemd-analyze is not installed");
  const dir = mkdtempSync(join(tmpdir(), "haplane-unit-"));
  try {
    const file = join(dir, "haplane.service");
    // It must find the program.
    writeFileSync(file, unit.replace("/usr/local/bin/haplane", process.execPath));
    const { stderr } = await run(systemdAnalyze, ["verify", "--man=no", file]);
    assert.equal(stderr, "");
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
