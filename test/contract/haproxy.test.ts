import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, describe, test } from "node:test";
import { isAtLeast } from "../../src/haproxy/version.ts";
import { systemClock } from "../../src/lib/clock.ts";
import type { DomainError } from "../../src/lib/errors.ts";
import { startHaproxy } from "../support/haproxy.ts";
import {
  isRunning,
  manageHaproxy,
  reach,
  type SupervisedHaproxy,
  supervise,
} from "../support/supervised-haproxy.ts";
import { waitFor } from "../support/wait.ts";

const BODY = "backend b\n  server s 127.0.0.1:1 weight 100";

const toEnd: { end(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of toEnd.splice(0).reverse()) await thing.end();
});

function ends<T extends { end(): Promise<void> }>(thing: T): T {
  toEnd.push(thing);
  return thing;
}

async function started(body = BODY): Promise<SupervisedHaproxy> {
  const managed = ends(manageHaproxy(body));
  await managed.haproxy.start();
  managed.running();
  return managed;
}

describe("a managed HAProxy", () => {
  test("is started, answers, and is ended with nothing left behind", async () => {
    const managed = await started();
    const { haproxy, states, paths } = managed;
    const { masterPid, workerPid, version } = managed.running();
    const info = await haproxy.runtime.info();
    assert.deepEqual([info.pid, info.version.text, info.stopping], [workerPid, version.text, false]);
    assert.equal(haproxy.capabilities?.version.text, version.text);
    assert.deepEqual(
      states.map(({ kind }) => kind),
      ["starting", "running"],
    );

    await haproxy.stop({ haproxy: "end" });
    assert.equal(haproxy.state.kind, "stopped");
    // What is left of a process that has ended may take the system a moment.
    await waitFor("both processes to be gone", () => !isRunning(masterPid) && !isRunning(workerPid));
    const left = readdirSync(paths.dir).filter((name) => !name.startsWith("stats.sock"));
    assert.deepEqual(left.toSorted(), ["haproxy.cfg", "haproxy.log"]);
    await assert.rejects(haproxy.runtime.info(), { reason: "HAPROXY_UNAVAILABLE" });
  });

  test("outlives haplane, and the next one adopts it", async () => {
    const first = await started();
    const { masterPid, workerPid } = first.running();
    await first.haproxy.stop({ haproxy: "leave" });
    const second = ends(first.again());
    await second.haproxy.start();
    assert.deepEqual([second.running().masterPid, second.running().workerPid], [masterPid, workerPid]);
    assert.equal((await second.haproxy.runtime.serverStates("b"))[0]?.server, "s");
    await second.haproxy.stop({ haproxy: "end" });
    await waitFor("the process to be gone", () => !isRunning(masterPid));
  });

  test("that was adopted and dies is started again", async () => {
    const first = await started();
    const { masterPid } = first.running();
    await first.haproxy.stop({ haproxy: "leave" });
    const second = ends(first.again());
    await second.haproxy.start();
    process.kill(masterPid, "SIGKILL");
    const again = await reach(second.haproxy, "running", (state) => state.masterPid !== masterPid);
    assert.ok(isRunning(again.masterPid));
  });

  test("with other arguments is not adopted, and the reason is said", async () => {
    const first = await started();
    await first.haproxy.stop({ haproxy: "leave" });
    const second = ends(first.again({ files: ["/etc/haproxy/other.cfg"] }));
    await second.haproxy.start();
    assert.ok(second.haproxy.state.kind === "down");
    assert.match(second.haproxy.state.reason, /other arguments.*haproxy\.cfg/);
    assert.ok(isRunning(first.states.findLast((state) => state.kind === "running")?.masterPid ?? 0));
  });

  for (const victim of ["masterPid", "workerPid"] as const) {
    test(`whose ${victim === "masterPid" ? "master" : "worker"} is killed is down at once and soon runs again`, async () => {
      const { haproxy, states, running } = await started();
      const before = running();
      const killed = performance.now();
      process.kill(before[victim], "SIGKILL");
      const down = await waitFor("the loss to be noticed", () =>
        states.find((state) => state.kind === "down"),
      );
      assert.ok(performance.now() - killed < 1_000);
      assert.ok(down.kind === "down" && down.reason !== "" && down.retryAt >= down.since);
      const after = await reach(haproxy, "running");
      assert.notEqual(after.masterPid, before.masterPid);
      assert.equal((await haproxy.runtime.info()).pid, after.workerPid);
    });
  }

  test("that is down is started when it is time, though the machine's clock is set back meanwhile", async () => {
    let setBackMs = 0;
    const clock = { ...systemClock, now: () => Date.now() - setBackMs };
    const managed = ends(manageHaproxy(BODY, { clock }));
    managed.haproxy.subscribe((state) => {
      if (state.kind === "down") setBackMs = 3_600_000;
    });
    await managed.haproxy.start();
    process.kill(managed.running().masterPid, "SIGKILL");
    await waitFor("the loss to be noticed", () => setBackMs > 0);
    await reach(managed.haproxy, "running");
  });

  test("whose configuration is refused at start is down with HAProxy's words, and runs once it is mended", async () => {
    const managed = ends(manageHaproxy("backend b\n  nonsense"));
    await managed.haproxy.start();
    const { state } = managed.haproxy;
    assert.ok(state.kind === "down");
    assert.match(state.reason, /haproxy\.cfg:9: unknown keyword 'nonsense'/);
    await assert.rejects(managed.haproxy.runtime.info(), (error: DomainError) => {
      assert.equal(error.reason, "HAPROXY_UNAVAILABLE");
      assert.match(error.message, /unknown keyword/);
      return (error.retryAfterMs ?? 0) > 0;
    });
    managed.writeConfig(BODY);
    await reach(managed.haproxy, "running");
  });

  test("whose binary cannot be run is down, and says why", async () => {
    const managed = ends(manageHaproxy(BODY, { binary: "/nonexistent/haproxy" }));
    await managed.haproxy.start();
    assert.ok(managed.haproxy.state.kind === "down");
    assert.match(managed.haproxy.state.reason, /nonexistent\/haproxy cannot be run/);
    await assert.rejects(managed.haproxy.check({}), { name: "DomainError", reason: "NOT_SUPPORTED" });
  });

  test("finds its stats socket after a reload has moved it", async () => {
    const managed = await started();
    const moved = readFileSync(managed.paths.config, "utf8").replaceAll("stats.sock", "moved.sock");
    managed.writeFile(moved);
    assert.equal((await managed.haproxy.reload()).kind, "succeeded");
    assert.equal((await managed.haproxy.runtime.info()).pid, managed.running().workerPid);
  });

  test("without a stats socket runs, and says why it takes no commands", async () => {
    const managed = ends(manageHaproxy(BODY));
    managed.writeFile(readFileSync(managed.paths.config, "utf8").replace(/^ {2}stats socket.*\n/m, ""));
    await managed.haproxy.start();
    managed.running();
    await assert.rejects(
      managed.haproxy.runtime.info({ timeoutMs: 100 }),
      /no UNIX `stats socket` with `level admin`/,
    );
    managed.writeConfig(BODY);
    assert.equal((await managed.haproxy.reload()).kind, "succeeded");
    assert.equal((await managed.haproxy.runtime.info()).pid, managed.running().workerPid);
  });

  test("in a directory that no socket can be made in is refused when it is made", () => {
    const { paths, again } = ends(manageHaproxy(BODY));
    for (const stateDir of [`${paths.dir}/${"x".repeat(100)}`, `${paths.dir}/a,b`]) {
      assert.throws(() => again({ stateDir }), { name: "DomainError", reason: "FIELD_INVALID" });
    }
  });
});

describe("a reload", () => {
  test("ends when the new worker accepts connections, and commands go to it", async () => {
    const { haproxy, running, writeConfig } = await started();
    const before = running();
    writeConfig(`${BODY}\n  server s2 127.0.0.1:2`);
    const outcome = await haproxy.reload();
    assert.ok(outcome.kind === "succeeded");
    assert.notEqual(outcome.workerPid, before.workerPid);
    assert.equal(running().workerPid, outcome.workerPid);
    assert.equal(running().masterPid, before.masterPid);
    assert.equal(running().reloads, before.reloads + 1);
    assert.deepEqual(
      (await haproxy.runtime.serverStates("b")).map(({ server }) => server),
      ["s", "s2"],
    );
    await reach(haproxy, "running", (state) => state.oldWorkerPids.length === 0);
  });

  test("that HAProxy refuses says file, line and words, and leaves the worker", async () => {
    const { haproxy, running, writeConfig, paths } = await started();
    const before = running();
    writeConfig("backend b\n  nonsense");
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const outcome = await haproxy.reload();
      assert.ok(outcome.kind === "refused");
      assert.deepEqual(
        outcome.messages.find(({ level }) => level === "alert"),
        {
          level: "alert",
          file: paths.config,
          line: 9,
          message: "unknown keyword 'nonsense' in 'backend' section",
        },
      );
      assert.match(outcome.log, /unknown keyword 'nonsense'/);
      const after = await reach(haproxy, "running", (state) => state.reloads === before.reloads + attempt);
      assert.equal(after.workerPid, before.workerPid);
      assert.ok(after.failedReloads > 0);
    }
    writeConfig(BODY);
    const outcome = await haproxy.reload();
    assert.ok(outcome.kind === "succeeded" && outcome.workerPid !== before.workerPid);
    assert.equal(running().failedReloads, 0);
  });

  test("with a worker that cannot start is told from a success", async () => {
    const managed = await started();
    const good = readFileSync(managed.paths.config, "utf8");
    managed.writeFile(good.replace("global\n", "global\n  chroot /nonexistent\n"));
    const outcome = await managed.haproxy.reload();
    if (isAtLeast(managed.haproxy.capabilities!.version, 3, 1)) {
      assert.equal(outcome.kind, "refused");
    } else {
      assert.equal(outcome.kind, "master_lost");
      assert.notEqual(managed.haproxy.state.kind, "running");
    }
    assert.match("log" in outcome ? outcome.log : "", /Cannot chroot/);
    managed.writeFile(good);
    await managed.haproxy.start();
    managed.running();
  });

  test("is noticed when somebody else asks for it", async () => {
    const { haproxy, running } = await started();
    const before = running();
    process.kill(before.masterPid, "SIGUSR2");
    const after = await reach(haproxy, "running", (state) => state.workerPid !== before.workerPid);
    assert.equal(after.masterPid, before.masterPid);
    assert.equal((await haproxy.runtime.info()).pid, after.workerPid);
  });

  test("does not disturb commands: they are answered, in order, by the old worker and then by the new", async () => {
    const { haproxy, running } = await started();
    const before = running();
    const outcomes: Promise<readonly { ok: boolean; workerPid?: number }[]>[] = [];
    let reloads = 0;
    let weight = 0;
    const reloading = (async () => {
      for (; reloads < 3; reloads += 1) assert.equal((await haproxy.reload()).kind, "succeeded");
    })();
    while (reloads < 3) {
      weight = (weight % 256) + 1;
      outcomes.push(haproxy.runtime.applyServers([{ kind: "set", backend: "b", server: "s", weight }]));
      await waitFor("a moment", () => true, { everyMs: 1 });
      await outcomes.at(-1);
    }
    await reloading;
    const last = await haproxy.runtime.applyServers([{ kind: "set", backend: "b", server: "s", weight: 7 }]);
    assert.deepEqual(last, [{ ok: true, workerPid: running().workerPid }]);
    const all = (await Promise.all(outcomes)).flat();
    assert.deepEqual(
      all.filter(({ ok }) => !ok),
      [],
    );
    const pids = [...new Set(all.map(({ workerPid }) => workerPid))];
    assert.equal(pids[0], before.workerPid);
    assert.ok(pids.length >= 3);
    assert.equal((await haproxy.runtime.serverStates("b"))[0]?.weight, 7);
    // No connection of ours keeps an old worker alive.
    await reach(haproxy, "running", (state) => state.oldWorkerPids.length === 0);
  });

  test("that two ask for is made twice, one after the other", async () => {
    const { haproxy, running } = await started();
    const [first, second] = await Promise.all([haproxy.reload(), haproxy.reload()]);
    assert.ok(first.kind === "succeeded" && second.kind === "succeeded");
    assert.notEqual(first.workerPid, second.workerPid);
    assert.equal(running().reloads, 2);
  });

  test("of a master that is stuck ends at its deadline, while the worker goes on being used", async () => {
    const { haproxy, running } = await started();
    const { masterPid, workerPid } = running();
    process.kill(masterPid, "SIGSTOP");
    try {
      const outcome = await haproxy.reload({ timeoutMs: 1_500 });
      assert.equal(outcome.kind, "timed_out");
      assert.equal((await haproxy.runtime.info()).pid, workerPid);
      assert.equal(haproxy.state.kind, "running");
    } finally {
      process.kill(masterPid, "SIGCONT");
    }
    // What was asked is still in the socket's queue, and is done when the master comes to it.
    await waitFor("the master to answer", async () => (await haproxy.reload()).kind === "succeeded");
  });

  test("given up by its caller goes on, and the next one waits for it", async () => {
    const { haproxy, running } = await started();
    const controller = new AbortController();
    const given = haproxy.reload({ signal: controller.signal });
    controller.abort();
    await assert.rejects(given, { reason: "CANCELLED" });
    assert.equal((await haproxy.reload()).kind, "succeeded");
    assert.equal(running().reloads, 2);
  });

  test("many times over leaves no connection and no descriptor behind", async () => {
    const { haproxy } = await started();
    const descriptors = () => readdirSync("/proc/self/fd").length;
    await haproxy.reload();
    await haproxy.runtime.info();
    const before = descriptors();
    for (let i = 0; i < 10; i += 1) {
      await haproxy.reload();
      await haproxy.runtime.info();
    }
    await reach(haproxy, "running", (state) => state.oldWorkerPids.length === 0);
    await waitFor("descriptors to be closed", () => descriptors() <= before + 1);
  });

  test("of a managed HAProxy that is down starts it, and says why when it cannot", async () => {
    const managed = ends(manageHaproxy("backend b\n  nonsense"));
    await managed.haproxy.start();
    const lost = await managed.haproxy.reload();
    assert.equal(lost.kind, "master_lost");
    assert.ok(
      lost.kind === "master_lost" && lost.messages.some(({ message }) => message.includes("nonsense")),
    );
    managed.writeConfig("backend b");
    const mended = await managed.haproxy.reload();
    assert.equal(mended.kind, "succeeded");
    assert.equal(managed.haproxy.state.kind, "running");
  });
});

describe("an attached HAProxy", () => {
  test("is found, lost and found again", async () => {
    const running = await startHaproxy(BODY);
    ends({ end: () => running.stop() });
    const attached = supervise(running, {
      masterSocket: running.masterSocket,
      statsSocket: running.statsSocket,
    });
    ends({ end: () => attached.haproxy.stop({ haproxy: "leave" }) });
    assert.equal(attached.haproxy.mode, "attached");
    await attached.haproxy.start();
    assert.equal(attached.running().masterPid, running.masterPid);

    process.kill(running.masterPid, "SIGKILL");
    const killed = performance.now();
    await reach(attached.haproxy, "down");
    assert.ok(performance.now() - killed < 2_000);
    await assert.rejects(attached.haproxy.runtime.info(), { reason: "HAPROXY_UNAVAILABLE" });

    const other = ends(manageHaproxy(BODY));
    await other.haproxy.start();
    const elsewhere = supervise(other.paths, { masterSocket: `${other.paths.dir}/haproxy-master.sock` });
    await elsewhere.haproxy.start();
    assert.equal(elsewhere.running().workerPid, other.running().workerPid);
    await other.haproxy.reload();
    const after = await reach(elsewhere.haproxy, "running", (state) => state.reloads === 1);
    assert.equal((await elsewhere.haproxy.runtime.info()).pid, after.workerPid);
    await elsewhere.haproxy.stop({ haproxy: "leave" });
  });

  test("that does not run yet is down, and heals when it comes", async () => {
    const managed = ends(manageHaproxy(BODY));
    const attached = supervise(managed.paths, { masterSocket: `${managed.paths.dir}/haproxy-master.sock` });
    await attached.haproxy.start();
    assert.equal(attached.haproxy.state.kind, "down");
    await managed.haproxy.start();
    const state = await reach(attached.haproxy, "running");
    assert.equal(state.workerPid, managed.running().workerPid);
    assert.equal((await attached.haproxy.reload()).kind, "succeeded");
    await attached.haproxy.stop({ haproxy: "leave" });
  });
});

describe("a check", () => {
  test("reads files in order and says what HAProxy minds", async () => {
    const managed = ends(manageHaproxy(BODY));
    const good = await managed.haproxy.check({});
    assert.equal(good.ok, true);
    managed.writeConfig("backend b\n  nonsense\nbackend c\n  balance nonsense");
    const bad = await managed.haproxy.check({ files: [managed.paths.config] });
    assert.equal(bad.ok, false);
    assert.deepEqual(
      bad.messages.filter(({ level }) => level === "alert").map(({ file, line }) => [file, line]),
      [
        [managed.paths.config, 9],
        [managed.paths.config, 11],
      ],
    );
  });

  test("of what cannot be read is refused with HAProxy's words", async () => {
    const managed = ends(manageHaproxy(BODY));
    const outcome = await managed.haproxy.check({ files: ["/nonexistent.cfg"] });
    assert.equal(outcome.ok, false);
    assert.match(outcome.messages.map(({ message }) => message).join("\n") + outcome.failure, /nonexistent/);
  });

  test("that is killed, or takes too long, counts as refused; one given up is cancelled", async () => {
    // A pipe that nobody writes to keeps any program that reads it waiting.
    const managed = ends(manageHaproxy(BODY, { binary: "/bin/sh" }));
    const sleeper = `${managed.paths.dir}/sleep`;
    const { writeFileSync } = await import("node:fs");
    writeFileSync(sleeper, "#!/bin/sh\nexec sleep 30\n", { mode: 0o755 });
    const slow = ends(managed.again({ binary: sleeper }));
    const outcome = await slow.haproxy.check({}, { timeoutMs: 50 });
    assert.deepEqual([outcome.ok, outcome.failure], [false, "it did not end within 50 ms"]);
    const controller = new AbortController();
    const given = slow.haproxy.check({}, { signal: controller.signal });
    setImmediate(() => controller.abort());
    await assert.rejects(given, { reason: "CANCELLED" });

    const suicide = `${managed.paths.dir}/suicide`;
    writeFileSync(suicide, "#!/bin/sh\nkill -SEGV $$\n", { mode: 0o755 });
    const killed = ends(managed.again({ binary: suicide }));
    const died = await killed.haproxy.check({});
    assert.deepEqual([died.ok, died.failure], [false, "it was ended by SIGSEGV"]);
  });
});
