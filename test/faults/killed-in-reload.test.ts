import assert from "node:assert/strict";
import { chmodSync, chownSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { preamble } from "../support/preamble.ts";
import { readPids } from "../support/start.ts";
import { waitFor } from "../support/wait.ts";

/** So many that HAProxy takes a while to read them. */
const SERVERS = 8_000;

const configure = (statsSocket: string) =>
  `${preamble(statsSocket)}backend many\n${Array.from({ length: SERVERS }, (_, index) => `    server s${index} 127.0.0.1:${1 + index}\n`).join("")}`;

/** The master of this haplane's HAProxy. */
const masterOf = (haplane: TestHaplane) => readPids(join(haplane.dir, "state")).haproxy as number;

/** What a process was started with; a master that reloads starts itself anew with the workers that it replaces. */
const commandLine = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");

for (const victim of ["master", "worker"] as const)
  test(`HAProxy's ${victim} is killed in the middle of a reload: the answer is true, and HAProxy runs what the file says`, async () => {
    const haplane = await startHaplane(configure);
    try {
      const before = { master: masterOf(haplane), worker: (await haplane.worker()).pid };
      const written = haplane
        .call("haplane.v1.Configuration/Create", { resource: { name: "backends/new", backend: {} } })
        .then(
          () => true,
          () => false,
        );
      await waitFor("the master to reload", async () => commandLine(before.master).includes("-sf"), {
        timeoutMs: 60_000,
      });
      process.kill(before[victim], "SIGKILL");
      const succeeded = await written;
      const hasBackend = () => /^backend new$/m.test(readFileSync(haplane.config, "utf8"));
      assert.equal(hasBackend(), succeeded);
      await waitFor(
        "HAProxy to run what the file says",
        async () => {
          const backends = await haplane.ask("show backend").catch(() => "");
          return backends.includes("many") && /^new$/m.test(backends) === succeeded;
        },
        { timeoutMs: 60_000 },
      );
      // It goes on from there.
      await haplane.call("haplane.v1.Configuration/Create", {
        resource: { name: "backends/later", backend: {} },
      });
      assert.match(await haplane.ask("show backend"), /^later$/m);
      assert.equal(hasBackend(), succeeded);
    } finally {
      await haplane.stop();
    }
  });

test("haplane is killed in the middle of a reload: it is LOST to whoever lists reloads, and HAProxy runs what the file says", async () => {
  const haplane = await startHaplane(configure);
  try {
    const master = masterOf(haplane);
    const written = haplane
      .call("haplane.v1.Configuration/Create", { resource: { name: "backends/new", backend: {} } })
      .catch(() => undefined);
    await waitFor("the master to reload", async () => commandLine(master).includes("-sf"), {
      timeoutMs: 60_000,
    });
    await haplane.crash();
    await written;
    const { reloads } = await haplane.call<{ reloads: { state: string }[] }>(
      "haplane.v1.Runtime/ListReloads",
    );
    assert.ok(
      reloads.some(({ state }) => state === "RELOAD_STATE_LOST"),
      JSON.stringify(reloads),
    );
    const inFile = /^backend new$/m.test(readFileSync(haplane.config, "utf8"));
    await waitFor(
      "HAProxy to run what the file says",
      async () => /^new$/m.test(await haplane.ask("show backend").catch(() => "")) === inFile,
      { timeoutMs: 60_000 },
    );
  } finally {
    await haplane.stop();
  }
});

test("the file's owner, group and mode stay through changes by commands, by a reload and back again", async () => {
  const haplane = await startHaplane(
    (socket) => `${preamble(socket)}backend web\n    server s 127.0.0.1:1\n`,
  );
  try {
    // Only root can give files away.
    if (process.getuid?.() === 0) chownSync(haplane.config, 1234, 4321);
    chmodSync(haplane.config, 0o624);
    const shown = () => {
      const { uid, gid, mode } = statSync(haplane.config);
      return { uid, gid, mode };
    };
    const expected = shown();
    await haplane.call("haplane.v1.Configuration/Update", {
      resource: { name: "backends/web/servers/s", server: { weight: 7 } },
      updateMask: "weight",
    });
    assert.match(readFileSync(haplane.config, "utf8"), /weight 7/);
    assert.deepEqual(shown(), expected);
    await haplane.call("haplane.v1.Configuration/Create", {
      resource: { name: "backends/new", backend: {} },
    });
    assert.deepEqual(shown(), expected);
    await haplane.call("haplane.v1.Configuration/Rollback", { name: "revisions/1" });
    assert.doesNotMatch(readFileSync(haplane.config, "utf8"), /weight 7|backend new/);
    assert.deepEqual(shown(), expected);
  } finally {
    await haplane.stop();
  }
});
