import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { endChild } from "../support/child.ts";
import { startHaplane } from "../support/haplane.ts";
import { askOnce, haproxyBinary } from "../support/haproxy.ts";
import { preamble } from "../support/preamble.ts";
import { waitFor } from "../support/wait.ts";

/** So many that HAProxy takes a while to read them. */
const SERVERS = 8_000;
const PATIENT = { timeoutMs: 60_000 };

const configure = (statsSocket: string) =>
  `${preamble(statsSocket)}backend many\n${Array.from({ length: SERVERS }, (_, index) => `    server s${index} 127.0.0.1:${1 + index}\n`).join("")}`;

/** An HAProxy that people run. */
class PeoplesHaproxy {
  readonly master: string;
  readonly #dir: string;
  #child: ChildProcess | undefined;

  constructor(dir: string) {
    this.#dir = dir;
    this.master = join(dir, "master.sock");
  }

  async start(): Promise<void> {
    const arguments_ = ["-W", "-S", this.master, "-f", join(this.#dir, "haproxy.cfg")];
    const child = spawn(haproxyBinary, arguments_, { stdio: "ignore" });
    this.#child = child;
    await waitFor(
      "HAProxy to answer",
      async () => {
        const version = await askOnce(join(this.#dir, "stats.sock"), "show version");
        return version !== "" && (await this.#pids())[0] === child.pid;
      },
      PATIENT,
    );
  }

  /** A master that reloads starts itself anew with the workers that it replaces. */
  get isReloading(): boolean {
    const commandLine = readFileSync(`/proc/${this.#child?.pid}/cmdline`, "latin1");
    return commandLine.split("\0").includes("-sf");
  }

  /** Ends it at once: its workers see that their master is gone. */
  async end(): Promise<void> {
    if (this.#child !== undefined) await endChild(this.#child, "SIGKILL", 0);
    const socket = join(this.#dir, "stats.sock");
    await waitFor(
      "its workers to be gone",
      () =>
        askOnce(socket, "show version").then(
          () => false,
          () => true,
        ),
      PATIENT,
    );
  }

  /** The master's, then the worker's. */
  async #pids(): Promise<number[]> {
    const text = await askOnce(this.master, "show proc");
    return [...text.matchAll(/^(\d+)\s/gm)].map(([, pid]) => Number(pid));
  }
}

for (const moment of ["at once", "after the answer"] as const)
  test(`truthful: an attached HAProxy that somebody ends in the middle of a reload and starts ${moment} runs what the file says, and so does the answer`, async () => {
    const dir = mkdtempSync(join(tmpdir(), "haplane-attached-"));
    writeFileSync(join(dir, "haproxy.cfg"), configure(join(dir, "stats.sock")));
    const haproxy = new PeoplesHaproxy(dir);
    await haproxy.start();
    const haplane = await startHaplane(configure, [`--master-socket=${haproxy.master}`], { dir }).catch(
      async (error: unknown) => {
        await haproxy.end();
        throw error;
      },
    );
    try {
      const written = haplane
        .call("haplane.v1.Configuration/Create", { resource: { name: "backends/new", backend: {} } })
        .then(
          () => "",
          (error: Error) => error.message,
        );
      await waitFor("the master to reload", async () => haproxy.isReloading, PATIENT);
      await haproxy.end();
      if (moment === "after the answer") await written;
      await haproxy.start();
      const error = await written;
      assert.match(error, /^$|"unavailable"|"deadline_exceeded"/);
      const hasBackend = () => /^backend new$/m.test(readFileSync(haplane.config, "utf8"));
      assert.equal(hasBackend(), error === "");
      const backends = () => haplane.ask("show backend").catch(() => "");
      await waitFor(
        "HAProxy to run what the file says",
        async () => {
          const shown = await backends();
          return shown.includes("many") && /^new$/m.test(shown) === (error === "");
        },
        PATIENT,
      );
      // It goes on from there.
      await waitFor(
        "changes to be taken again",
        async () => {
          await haplane.call("haplane.v1.Configuration/Create", {
            resource: { name: "backends/later", backend: {} },
          });
          return true;
        },
        PATIENT,
      );
      assert.match(await backends(), /^later$/m);
      assert.equal(hasBackend(), error === "");
    } finally {
      await haplane.stop();
      await haproxy.end();
    }
  });
