import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { ManualClock } from "../../src/lib/manual-clock.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { HISTORY_PATH, historyBatch, historyContent, historyEvents } from "../support/store-history.ts";

const PROGRAM = fileURLToPath(new URL("../support/store-process.ts", import.meta.url));

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "haplane-store-faults-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

const reopen = (directory: string) =>
  openStore(directory, { clock: new ManualClock(), logger: pino({ level: "silent" }), pid: process.pid });

/** Every part of the history that is kept is as it was written, and none is there without the others. */
async function assertWhole(store: Store): Promise<void> {
  const newest = store.newestRevision;
  assert.equal(Buffer.from((await store.meta("last")) ?? []).toString(), String(newest));
  const kept = await store.revisions.list({ limit: 10_000 });
  assert.equal(kept[0]?.number, newest);
  assert.ok(kept.length <= 140, `${kept.length} revisions are kept`);
  for (const { number } of [...kept.slice(0, 5), ...kept.slice(-5)]) {
    const pieces: Uint8Array[] = [];
    for await (const piece of store.revisions.read(number, HISTORY_PATH)) pieces.push(piece);
    assert.equal(Buffer.concat(pieces).toString(), historyContent(number).toString());
  }
  const { entries, oldest } = await store.events.read(0, { events: 1e6, bytes: 1e9 });
  const first = newest - entries.length + 1;
  assert.deepEqual(
    entries.map((entry) => [entry.seq, entry.revision, ...entry.events.map((event) => event.resource)]),
    entries.map((_, i) => [2 * (first + i), first + i, ...historyEvents(first + i)]),
  );
  assert.equal(oldest, 2 * first - 1);
  // An intent outlives only the revision that was to finish it, and there can be no more than were under way.
  for (const intent of await store.pendingIntents())
    assert.ok(Number(intent.id.slice("write-".length)) > newest);
}

test("kill -9 in the middle of writes: every answered batch is there, and no half one", async (t) => {
  const directory = await temporaryDirectory(t);
  let answered = 0;
  for (const lines of [1, 2, 5, 60, 200, 400, 7, 33]) {
    const child = spawn(process.execPath, [PROGRAM, "write", directory], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    t.after(() => child.kill("SIGKILL"));
    answered = Math.max(answered, ...(await killAfter(child, lines)));
    const store = await reopen(directory);
    try {
      assert.ok(
        store.newestRevision >= answered,
        `${answered} was answered, ${store.newestRevision} is there`,
      );
      assert.equal(store.setAside, undefined);
      if (store.newestRevision > 0) await assertWhole(store);
      answered = store.newestRevision;
    } finally {
      await store.close();
    }
  }
  assert.ok(answered > 500, "the history has grown over all the lives");
});

/** Kills a child as soon as it has printed so many lines; returns the numbers among all that it printed. */
async function killAfter(child: ChildProcess, lines: number): Promise<number[]> {
  const printed: string[] = [];
  const exited = once(child, "exit");
  assert.ok(child.stdout);
  const output = createInterface({ input: child.stdout });
  output.on("line", (line) => {
    printed.push(line);
    if (printed.length === lines) child.kill("SIGKILL");
  });
  const [[, signal]] = await Promise.all([exited, once(output, "close")]);
  assert.equal(signal, "SIGKILL", printed.at(-1));
  assert.equal(printed[0], "open");
  return printed.slice(1).map(Number);
}

test("kill -9 frees the state directory", async (t) => {
  const directory = await temporaryDirectory(t);
  const child = spawn(process.execPath, [PROGRAM, "write", directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  assert.ok(child.stdout);
  for await (const line of createInterface({ input: child.stdout })) if (Number(line) > 0) break;
  const refused = { reason: "STATE_LOCKED", metadata: { directory, pid: String(child.pid) } };
  await assert.rejects(reopen(directory), refused);
  child.kill("SIGKILL");
  await once(child, "exit");
  await (await reopen(directory)).close();
});

/** Writes the history on until it is refused; returns the last number that was answered, and the error. */
async function writeUntilRefused(store: Store): Promise<{ answered: number; error: unknown }> {
  for (let number = store.newestRevision + 1; ; number += 1) {
    try {
      await store.write([
        ...historyBatch(number, number),
        { kind: "put-meta", name: `filler-${number}`, value: new Uint8Array(20_000) },
      ]);
    } catch (error) {
      return { answered: number - 1, error };
    }
  }
}

async function assertFullAndHealed(store: Store, makeRoom: () => void): Promise<number> {
  const { answered, error } = await writeUntilRefused(store);
  assert.ok(answered > 3);
  assert.equal((error as { reason?: string }).reason, "STORE_UNAVAILABLE");
  assert.equal(store.newestRevision, answered);
  assert.equal(store.health.state, "unavailable");
  // Refused again and again, it stays as it was; and what is there can be read.
  await assert.rejects(store.write(historyBatch(answered + 1, 1).concat(filler(200_000))), {
    reason: "STORE_UNAVAILABLE",
  });
  await assertWhole(store);
  makeRoom();
  await store.write(historyBatch(answered + 1, 1));
  assert.deepEqual(store.health, { state: "available" });
  await assertWhole(store);
  return answered + 1;
}

const filler = (size: number) => [{ kind: "put-meta" as const, name: "large", value: new Uint8Array(size) }];

test("a file that may not grow refuses writes and nothing else, and heals", async (t) => {
  const directory = await temporaryDirectory(t);
  // The limit of one process stands for the disk's: it is lifted while the process runs.
  const limit = (size: string) =>
    spawnSync("prlimit", ["--pid", String(process.pid), `--fsize=${size}:unlimited`]);
  const store = await reopen(directory);
  t.after(() => store.close());
  t.after(() => limit("unlimited"));
  assert.equal(limit("1000000").status, 0);
  const newest = await assertFullAndHealed(store, () => limit("unlimited"));
  await store.close();
  const again = await reopen(directory);
  assert.equal(again.newestRevision, newest);
  await assertWhole(again);
  await again.close();
});

// A real full disk needs one that is small, which takes the right to mount one; the test above is there for everybody.
const disk = await mkdtemp(join(tmpdir(), "haplane-small-disk-"));
const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "haplane", disk]).status === 0;
if (!mounted) rmSync(disk, { recursive: true });
else {
  test("a full disk refuses writes and nothing else, and heals", async (t) => {
    t.after(() => {
      spawnSync("umount", [disk]);
      rmSync(disk, { recursive: true });
    });
    const ballast = join(disk, "ballast");
    writeFileSync(ballast, Buffer.alloc(800_000));
    const store = await reopen(disk);
    t.after(() => store.close());
    const newest = await assertFullAndHealed(store, () => rmSync(ballast));
    await store.close();
    const again = await reopen(disk);
    assert.equal(again.newestRevision, newest);
    assert.equal(again.setAside, undefined);
    await assertWhole(again);
    await again.close();
  });
}

/** Runs the program that opens the store; where we are root, without the right to pass over permissions. */
function openWithoutRights(directory: string) {
  const command = [process.execPath, PROGRAM, "open", directory];
  const plain =
    process.getuid?.() === 0 ? ["setpriv", "--inh-caps=-all", "--bounding-set=-all", ...command] : command;
  const [program = "", ...args] = plain;
  const { stdout, status } = spawnSync(program, args, { encoding: "utf8" });
  return { said: stdout.trim(), status };
}

test("a state directory that may not be written is refused by its name, be it new or not", async (t) => {
  const parent = await temporaryDirectory(t);
  const directory = join(parent, "state");
  chmodSync(parent, 0o500);
  const refusedNew = openWithoutRights(directory);
  chmodSync(parent, 0o700);
  assert.equal(refusedNew.status, 1);
  assert.match(refusedNew.said, /^STORE_UNAVAILABLE The state directory .*\/state cannot be used: EACCES/);

  mkdirSync(directory, { mode: 0o700 });
  assert.deepEqual(openWithoutRights(directory), { said: "open", status: 0 });
  for (const file of readdirSync(directory)) chmodSync(join(directory, file), 0o400);
  chmodSync(directory, 0o500);
  const refusedOld = openWithoutRights(directory);
  chmodSync(directory, 0o700);
  assert.equal(refusedOld.status, 1);
  assert.match(refusedOld.said, /^STORE_UNAVAILABLE The state directory .*\/state cannot be used/);
});
