import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { haproxyBinary } from "../support/haproxy.ts";
import { type Random, seeded } from "../support/hostile-messages.ts";
import { preamble } from "../support/preamble.ts";
import { waitFor } from "../support/wait.ts";

/** How long; `npm run soak` says more. */
const SECONDS = Number(process.env.HAPLANE_SOAK_SECONDS ?? 15);
const SEED = Number(process.env.HAPLANE_SEED ?? Date.now() % 1_000_000);
const WRITERS = 20;
/** haplane is killed this long after the first of them began to write, at the latest. */
const MAX_LIFE_MS = 800;
const PATIENCE_MS = 60_000;

/** Writes its own server's weight, which takes a command, and now and then its own backend, which takes a reload. */
class Writer {
  readonly name: string;
  readonly #random: Random;
  /** What was answered last, and what was asked for since without an answer; a backend's weight is 0 for none. */
  readonly #answered = { server: 1, backend: 0 };
  #asked: { readonly what: "server" | "backend"; readonly value: number } | undefined;

  constructor(index: number, random: Random) {
    this.name = `s${index}`;
    this.#random = random;
  }

  /** Writes one change after another until haplane is gone; returns how many were answered. */
  async run(haplane: TestHaplane, isOver: () => boolean): Promise<number> {
    for (let count = 0; ; count++) {
      this.#asked = this.#next();
      try {
        await this.#write(haplane, this.#asked);
      } catch (error) {
        // Nothing is refused here: whoever hears nothing has lost the process.
        assert.ok(isOver(), `${this.name}: ${error}`);
        return count;
      }
      this.#answered[this.#asked.what] = this.#asked.value;
      this.#asked = undefined;
    }
  }

  /** Requires that what was answered is in the file, or what was asked for after it, as a whole; from then on that counts. */
  settle(file: string): void {
    const found = {
      server: Number(new RegExp(`^    server ${this.name} \\S+ weight (\\d+)$`, "m").exec(file)?.[1]),
      backend: new RegExp(`^backend ${this.name}$`, "m").test(file) ? 1 : 0,
    };
    for (const what of ["server", "backend"] as const) {
      const allowed = [this.#answered[what], ...(this.#asked?.what === what ? [this.#asked.value] : [])];
      assert.ok(
        allowed.includes(found[what]),
        `${what} ${this.name} is ${found[what]} in the file, not ${allowed.join(" or ")}`,
      );
    }
    Object.assign(this.#answered, found);
    this.#asked = undefined;
  }

  #next(): { readonly what: "server" | "backend"; readonly value: number } {
    if (this.#random() < 0.1) return { what: "backend", value: 1 - this.#answered.backend };
    return { what: "server", value: 1 + Math.floor(this.#random() * 256) };
  }

  #write(haplane: TestHaplane, { what, value }: { what: "server" | "backend"; value: number }) {
    const method = (name: string) => `haplane.v1.Configuration/${name}`;
    if (what === "server")
      return haplane.call(method("Update"), {
        resource: { name: `backends/web/servers/${this.name}`, server: { weight: value } },
        updateMask: "weight",
      });
    const name = `backends/${this.name}`;
    return value === 0
      ? haplane.call(method("Delete"), { name })
      : haplane.call(method("Create"), { resource: { name, backend: {} } });
  }
}

/** `backend NAME` and `server NAME WEIGHT` of the file, and of the worker, sorted. */
function inFile(file: string): string[] {
  const servers = [...file.matchAll(/^ {4}server (\S+) \S+ weight (\d+)$/gm)].map(
    (m) => `server ${m[1]} ${m[2]}`,
  );
  return [...servers, ...[...file.matchAll(/^backend (\S+)$/gm)].map((m) => `backend ${m[1]}`)].sort();
}

async function inWorker(haplane: TestHaplane): Promise<string[]> {
  const states = (await haplane.ask("show servers state web")).split("\n").map((line) => line.split(" "));
  const servers = states
    .filter(([, backend]) => backend === "web")
    .map((row) => `server ${row[3]} ${row[7]}`);
  const backends = (await haplane.ask("show backend"))
    .split("\n")
    .filter((name) => /^(?:web|s\d+)$/.test(name));
  return [...servers, ...backends.map((name) => `backend ${name}`)].sort();
}

test(`durable: killed at random moments under ${WRITERS} writers, every answered commit is there, and HAProxy runs the file (HAPLANE_SEED=${SEED})`, {
  timeout: SECONDS * 1_000 + 240_000,
}, async () => {
  const random = seeded(SEED);
  const writers = Array.from({ length: WRITERS }, (_, index) => new Writer(index, random));
  const haplane = await startHaplane(
    (statsSocket) =>
      `${preamble(statsSocket)}backend web\n${writers.map(({ name }, index) => `    server ${name} 127.0.0.1:${18_001 + index} weight 1\n`).join("")}`,
  );
  let answered = 0;
  let rounds = 0;
  try {
    for (const end = performance.now() + SECONDS * 1_000; performance.now() < end; rounds++) {
      let isOver = false;
      const written = writers.map((writer) => writer.run(haplane, () => isOver));
      const all = Promise.all(written);
      await Promise.race([sleep(random() * MAX_LIFE_MS), all]);
      isOver = true;
      await haplane.crash(async () => {
        answered += (await all).reduce((sum, count) => sum + count, 0);
      });
      const file = readFileSync(haplane.config, "utf8");
      for (const writer of writers) writer.settle(file);
      const { status, stderr } = spawnSync(haproxyBinary, ["-c", "-f", haplane.config], { encoding: "utf8" });
      assert.equal(status, 0, stderr);
      const expected = inFile(file);
      await waitFor(
        "HAProxy to run the file",
        async () => (await inWorker(haplane)).join() === expected.join(),
        { timeoutMs: PATIENCE_MS },
      );
      assert.deepEqual(
        readdirSync(haplane.dir).filter((name) => name.startsWith(".haproxy.cfg")),
        [".haproxy.cfg.haplane-lock"],
        "nothing lies about",
      );
    }
    assert.ok(answered > rounds, `${answered} commits were answered in ${rounds} rounds`);
  } finally {
    await haplane.stop();
  }
});
