import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { startHaplane } from "../support/haplane.ts";
import { root } from "../support/programs.ts";

const run = promisify(execFile);

test("haplane serves with what haplane import made of a Data Plane API, its sources among it", async () => {
  const dir = mkdtempSync(join(tmpdir(), "haplane-import-"));
  try {
    const directory = (name: string) => join(dir, name);
    mkdirSync(directory("dataplane/service_discovery"), { recursive: true });
    writeFileSync(
      directory("dataplane/service_discovery/consul.json"),
      JSON.stringify([
        { name: "local", address: "127.0.0.1", port: 1, enabled: true, retry_timeout: 1, token: "hunter2" },
      ]),
    );
    writeFileSync(
      directory("dataplaneapi.yml"),
      JSON.stringify({
        dataplaneapi: {
          user: [{ name: "ann", password: "password", insecure: true }],
          resources: {
            dataplane_storage_dir: directory("dataplane"),
            ...{ maps_dir: directory("maps"), ssl_certs_dir: directory("ssl") },
          },
        },
        haproxy: { reload: { reload_delay: 0 } },
      }),
    );
    const settings = directory("haplane.yaml");
    const state = directory("state");
    const { stderr } = await run(
      process.execPath,
      [join(root, "src", "main.ts"), "import", `--output=${settings}`, directory("dataplaneapi.yml")],
      { env: { ...process.env, HAPLANE_STATE_DIR: state } },
    );
    assert.match(stderr, /Sources: sources\/local/);
    assert.equal(statSync(settings).mode & 0o777, 0o600);
    const haplane = await startHaplane(
      (statsSocket) =>
        `global\n  stats socket ${statsSocket} level admin\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\nfrontend web\n  bind unix@${directory("web.sock")}\n`,
      [`--settings=${settings}`],
      { stateDir: state },
    );
    try {
      const { sources } = await haplane.call<{ sources: { name: string; consul: { tokenSet: boolean } }[] }>(
        "haplane.v1.ServiceDiscovery/ListSources",
      );
      assert.deepEqual(
        sources.map(({ name, consul }) => [name, consul.tokenSet]),
        [["sources/local", true]],
      );
    } finally {
      await haplane.stop();
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
