/**
 * What a commit costs beside what nobody can do without: the raw durable write and command for a change at runtime, the bare check and reload for one that needs them. Everything runs in one process but HAProxy itself;
 * the bounds are measured in turns with the figures, over the same files.
 */

import { randomBytes } from "node:crypto";
import * as nodeFs from "node:fs/promises";
import { mkdir, mkdtemp, open, readFile, rename, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pino } from "pino";
import type { Bench, BenchContext, Measurement } from "../scripts/bench/bench.ts";
import { Commit } from "../src/commit/commit.ts";
import type { Edit } from "../src/commit/edit.ts";
import { editServer, type ServerEdit } from "../src/config/server-edits.ts";
import type { Haproxy } from "../src/haproxy/haproxy.ts";
import { systemClock } from "../src/lib/clock.ts";
import { holds } from "../src/lib/durable-file.ts";
import { openStore } from "../src/store/store.ts";
import { insertLines } from "../src/text/edit.ts";
import { ownEnd } from "../src/text/extent.ts";
import { realHaproxy } from "../test/support/real-factory.ts";

const ROUNDS = 200;
/** Until both sides are compiled. */
const WARM_UP = 1_000;
const RELOAD_ROUNDS = 31;
const CPU_ROUNDS = 40;
const CPU_WARM_UP = 5;
const WRITERS = 200;

const commit: Bench = async (context) => {
  const measurements: Measurement[] = [];
  for (const servers of [10, 10_000]) {
    context.log(`${servers} servers: changes at runtime`);
    measurements.push(...(await runtimeCost(context, servers)));
    context.log(`${servers} servers: changes by reload`);
    measurements.push(...(await reloadCost(context, servers)));
  }
  context.log("200 writers at once");
  measurements.push(...(await manyWriters(context)));
  context.log("discovery during a check");
  measurements.push(...(await freeRunning(context)));
  context.log("one line in 10 KB and in 10 MB");
  measurements.push(...(await ownCost(context)));
  return measurements;
};

export default commit;

interface World extends AsyncDisposable {
  readonly directory: string;
  readonly path: string;
  readonly haproxy: Haproxy;
  readonly commit: Commit;
}

/** Servers spread over backends, so that HAProxy's own cost, which is quadratic in the servers of one backend, does not drown ours. */
function configuration(servers: number): string {
  const backends = Math.max(1, servers / 100);
  const text = [
    "defaults",
    "    mode http",
    "    timeout connect 1s",
    "    timeout client 5s",
    "    timeout server 5s",
  ];
  for (let backend = 0; backend < backends; backend++) {
    text.push("", `backend b${backend}`);
    for (let server = 0; server < servers / backends; server++)
      text.push(`    server s${server} 127.0.0.1:${10_000 + server} id ${server + 1} weight 10`);
  }
  return `${text.join("\n")}\n`;
}

async function openWorld(
  context: BenchContext,
  servers: number,
  wrap: (haproxy: Haproxy) => Haproxy = (it) => it,
): Promise<World> {
  const directory = await mkdtemp(join(context.directory, "commit-"));
  const path = join(directory, "haproxy.cfg");
  const under = await realHaproxy(directory, configuration(servers));
  const haproxy = wrap(under.haproxy);
  const logger = pino({ level: "silent" });
  const store = await openStore(join(directory, "state"), { clock: systemClock, logger, pid: process.pid });
  const opened = await Commit.open({
    paths: [path],
    haproxy,
    store,
    clock: systemClock,
    logger,
    publishEphemeral: () => {},
  });
  await under.haproxy.start();
  await opened.start();
  return {
    ...{ directory, path, haproxy, commit: opened },
    async [Symbol.asyncDispose]() {
      await opened.stop();
      await store.close();
      await under.end();
    },
  };
}

function serverEdit(edit: ServerEdit): Edit {
  return {
    apply: (document) => editServer(document, "b0", edit),
    resources: [`backends/b0/servers/${edit.name}`],
    author: "bench",
    message: "changes a server",
    servers: [],
  };
}

/** A change that needs a reload: another line in a backend. */
function lineEdit(backend: string, line: string): Edit {
  return {
    apply(document) {
      const section = document.find("backend", backend)[0]!;
      return insertLines(document, section, ownEnd(section), [line]).document;
    },
    resources: [`backends/${backend}`],
    author: "bench",
    message: "adds a line",
    servers: [],
  };
}

/** A weight changed through the commit, beside a durable write of the same bytes, one insert and one command over a bare connection. */
async function runtimeCost(context: BenchContext, servers: number): Promise<Measurement[]> {
  await using world = await openWorld(context, servers);
  const raw = await rawWriter(context.directory, await readFile(world.path));
  const [ours, bound]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS + WARM_UP; round++) {
    context.signal.throwIfAborted();
    const weight = 11 + (round % 100);
    const one = await timed(async () => {
      const outcome = await world.commit.change({
        edit: serverEdit({ kind: "set-weight", name: "s1", weight }),
      });
      if (outcome.via !== "runtime") throw new Error(outcome.reasons.join());
    });
    const other = await timed(async () => {
      await raw.write();
      await rawCommand(join(world.directory, "stats.sock"), `set server b0/s2 weight ${weight}`);
    });
    if (round >= WARM_UP) {
      ours.push(one);
      bound.push(other);
    }
  }
  raw.close();
  return [
    {
      case: `${servers} servers, a weight, p50`,
      value: median(ours),
      unit: "ms",
      bound: median(bound),
      target: 2,
    },
  ];
}

/** Temp, fsync, rename, fsync of the directory, and one durable insert: what cannot be saved. */
async function rawWriter(directory: string, bytes: Buffer) {
  const place = join(directory, `raw-${randomBytes(4).toString("hex")}`);
  await mkdir(place);
  const database = new DatabaseSync(join(place, "raw.db"));
  database.exec(
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (n INTEGER PRIMARY KEY, b BLOB)",
  );
  const insert = database.prepare("INSERT INTO t (b) VALUES (?)");
  const row = randomBytes(200);
  return {
    async write() {
      const temporary = join(place, "new");
      const file = await open(temporary, "w", 0o600);
      await file.writeFile(bytes);
      await file.sync();
      await file.close();
      await rename(temporary, join(place, "haproxy.cfg"));
      const folder = await open(place, "r");
      await folder.sync();
      await folder.close();
      insert.run(row);
    },
    close: () => database.close(),
  };
}

/** One command to HAProxy as the simplest program sends it: a connection, a line, the answer up to its end. */
function rawCommand(socket: string, line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const connection = connect({ path: socket });
    connection.on("error", reject).on("close", () => resolve());
    connection.resume().write(`${line}\n`);
  });
}

/**
 * A line that needs a reload, beside `haproxy -c` and a reload of the same file by an HAProxy of its own: one of which haplane knows nothing, since it compares a worker that somebody else reloaded, and that would
 * count as the cost of the next change.
 */
async function reloadCost(context: BenchContext, servers: number): Promise<Measurement[]> {
  await using world = await openWorld(context, servers);
  await using bare = await openBare(context, servers);
  const [ours, bound]: [number[], number[]] = [[], []];
  for (let round = 0; round < RELOAD_ROUNDS + 2; round++) {
    context.signal.throwIfAborted();
    const other = await timed(async () => {
      await bare.haproxy.check({ files: [bare.path] });
      await bare.haproxy.reload();
    });
    const one = await timed(async () => {
      await world.commit.change({ edit: lineEdit("b0", `timeout queue ${round + 1}s`) });
    });
    if (round >= 2) {
      ours.push(one);
      bound.push(other);
    }
  }
  return [
    {
      case: `${servers} servers, by reload, p50`,
      value: median(ours),
      unit: "ms",
      bound: median(bound),
      target: 1.2,
    },
  ];
}

/** An HAProxy over the same configuration, without a commit. */
async function openBare(context: BenchContext, servers: number) {
  const directory = await mkdtemp(join(context.directory, "bare-"));
  const { haproxy, end } = await realHaproxy(directory, configuration(servers));
  await haproxy.start();
  return { haproxy, path: join(directory, "haproxy.cfg"), [Symbol.asyncDispose]: end };
}

/** Many small changes that need a reload, all at once: how often HAProxy was asked, and how long the slowest waited. */
async function manyWriters(context: BenchContext): Promise<Measurement[]> {
  const counts = { check: 0, reload: 0 };
  await using world = await openWorld(context, 1_000, (haproxy) => counting(haproxy, counts));
  const bound = await timed(async () => {
    await world.haproxy.check({ files: [world.path] });
    await world.haproxy.reload();
  });
  counts.check = 0;
  counts.reload = 0;
  const times = await Promise.all(
    Array.from({ length: WRITERS }, (_, writer) =>
      timed(async () => {
        await world.commit.change({
          edit: lineEdit(`b${writer % 10}`, `http-request set-header x-${writer} 1`),
        });
      }),
    ),
  );
  return [
    { case: `${WRITERS} writers, checks`, value: counts.check, unit: "checks", bound: 5, target: 1 },
    { case: `${WRITERS} writers, reloads`, value: counts.reload, unit: "reloads", bound: 5, target: 1 },
    { case: `${WRITERS} writers, p99`, value: quantile(times, 0.99), unit: "ms", bound, target: 3 },
  ];
}

function counting(haproxy: Haproxy, counts: { check: number; reload: number }): Haproxy {
  return new Proxy(haproxy, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (name === "check" || name === "reload") counts[name] += 1;
        return Reflect.apply(value, target, args);
      };
    },
  });
}

/** A membership change while a check takes 10 s, beside the same change on its own. */
async function freeRunning(context: BenchContext): Promise<Measurement[]> {
  let hold: Promise<void> = Promise.resolve();
  await using world = await openWorld(context, 100, (haproxy) => holding(haproxy, () => hold));
  const round = async (count: number) => {
    const times: number[] = [];
    for (let index = 0; index < count; index++) {
      times.push(
        await timed(async () => {
          await world.commit.target.changeServers(
            "b0",
            [{ kind: "set-weight", name: "s3", weight: 1 + (index % 200) }],
            "sources/bench",
          );
        }),
      );
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return times;
  };
  await round(20);
  const alone = await round(100);
  const gate = Promise.withResolvers<void>();
  hold = gate.promise;
  const slow = world.commit.change({ edit: lineEdit("b0", "timeout queue 7s") });
  const during = await round(100);
  gate.resolve();
  await slow;
  return [
    {
      case: "a membership change during a long check, p50",
      value: median(during),
      unit: "ms",
      bound: median(alone),
      target: 1.5,
    },
  ];
}

function holding(haproxy: Haproxy, hold: () => Promise<void>): Haproxy {
  return new Proxy(haproxy, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (name !== "check") return value.bind(target);
      return async (...args: unknown[]) => {
        await hold();
        return Reflect.apply(value, target, args);
      };
    },
  });
}

/** Our own CPU for one line, in a file of 10 KB and one of 10 MB, less that of reading, comparing and writing the bytes. */
async function ownCost(context: BenchContext): Promise<Measurement[]> {
  const small = await cpuPerChange(context, 100);
  const large = await cpuPerChange(context, 200_000);
  return [
    { case: "own CPU of one line, 10 MB beside 10 KB", value: large, unit: "ms", bound: small, target: 5 },
  ];
}

async function cpuPerChange(context: BenchContext, servers: number): Promise<number> {
  const { createScriptedHaproxy } = await import("../test/support/scripted-haproxy.ts");
  const directory = await mkdtemp(join(context.directory, "cpu-"));
  const path = join(directory, "haproxy.cfg");
  await writeFile(path, configuration(servers));
  const haproxy = agreeing(await createScriptedHaproxy([]));
  const logger = pino({ level: "silent" });
  const store = await openStore(join(directory, "state"), { clock: systemClock, logger, pid: process.pid });
  const opened = await Commit.open({
    paths: [path],
    haproxy,
    store,
    clock: systemClock,
    logger,
    publishEphemeral: () => {},
  });
  await haproxy.start();
  await opened.start();
  const bytes = await readFile(path);
  const other = Buffer.from(bytes);
  const cpu = async (action: (round: number) => Promise<unknown>) => {
    const each: number[] = [];
    for (let round = 0; round < CPU_ROUNDS + CPU_WARM_UP; round++) {
      const start = process.cpuUsage();
      await action(round);
      const used = process.cpuUsage(start);
      if (round >= CPU_WARM_UP) each.push((used.user + used.system) / 1_000);
    }
    return median(each);
  };
  // The two do not take turns: what one leaves to be collected would be counted as the other's.
  const ours = await cpu((round) =>
    opened.change({ edit: serverEdit({ kind: "set-weight", name: "s1", weight: 11 + round }) }),
  );
  const raw = join(directory, "raw");
  // The bytes are compared with what is believed and written, and read and compared twice (before and after the rename); the revision stores what differs.
  const unavoidable = await cpu(async () => {
    bytes.equals(other);
    const file = await open(raw, "w", 0o600);
    await file.writeFile(bytes);
    await file.sync();
    await file.close();
    for (let reading = 0; reading < 2; reading++) await holds(nodeFs, raw, other);
  });
  await opened.stop();
  await store.close();
  return Math.max(ours - unavoidable, 0.01);
}

/** An HAProxy that takes every command and remembers nothing, so that its memory is not counted as ours. */
function agreeing(haproxy: Haproxy): Haproxy {
  const runtime: Haproxy["runtime"] = {
    ...haproxy.runtime,
    serverStates: async () => [],
    captureServerStates: async () => [],
    applyServers: async (changes) => changes.map(() => ({ ok: true, workerPid: 1 })),
  };
  return new Proxy(haproxy, {
    get(target, name) {
      if (name === "runtime") return runtime;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function timed(action: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await action();
  return performance.now() - start;
}

function median(times: readonly number[]): number {
  return quantile(times, 0.5);
}

function quantile(times: readonly number[], q: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!;
}
