import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import { encodeCommand, encodeLinesCommand } from "../../src/haproxy/command.ts";
import { CommandQueue } from "../../src/haproxy/command-queue.ts";
import { connectWorker } from "../../src/haproxy/worker-connection.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { DomainError } from "../../src/lib/errors.ts";
import { startHaproxy, type TestHaproxy } from "../support/haproxy.ts";
import { type ScriptedSocket, startScriptedSocket } from "../support/scripted-socket.ts";
import { eventually, waitFor } from "../support/wait.ts";

/** One of the two that the suite runs against. */
interface Worker {
  readonly statsSocket: string;
  readonly pid: number;
  /** Stops answering, with all connections open, until `thaw`. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

function newQueue(statsSocket: string, pid: number, onDoubt = () => {}): CommandQueue {
  const queue = new CommandQueue({
    connect: (signal) => connectWorker(statsSocket, signal),
    clock: systemClock,
    onDoubt,
  });
  queue.aim({ kind: "worker", pid });
  return queue;
}

const setWeight = (weight: number) => encodeCommand(["set", "server", "b/s", "weight", String(weight)]);
const getWeight = encodeCommand(["get", "weight", "b/s"]);

const isUnavailable = (outcome: string) => (error: unknown) => {
  assert.ok(error instanceof DomainError);
  assert.equal(error.reason, "HAPROXY_UNAVAILABLE");
  assert.equal(error.metadata.outcome, outcome);
  assert.ok((error.retryAfterMs ?? 0) > 0);
  return true;
};

function suite(name: string, start: () => Promise<Worker>): void {
  describe(`command queue over ${name}`, () => {
    let worker: Worker;
    let queue: CommandQueue;
    before(async () => {
      worker = await start();
    });
    after(() => worker.stop());
    beforeEach(() => {
      queue = newQueue(worker.statsSocket, worker.pid);
    });
    afterEach(() => queue.close("the test is over"));

    test("a thousand pipelined commands are each given their own answer, in order", async () => {
      const answers = await Promise.all(
        Array.from({ length: 500 }, (_, i) => [queue.run(setWeight(i % 200)), queue.run(getWeight)]).flat(),
      );
      for (let i = 0; i < 500; i += 1) {
        assert.equal(answers[2 * i]?.text, "");
        assert.equal(answers[2 * i + 1]?.text, `${i % 200} (initial 100)`);
        assert.equal(answers[2 * i]?.workerPid, worker.pid);
      }
      assert.deepEqual(queue.load, { connections: 1, queued: 0, inFlight: 0 });
    });

    test("a refusal is an answer with its severity", async () => {
      const answer = await queue.run(encodeCommand(["set", "server", "b/none", "weight", "1"]));
      assert.deepEqual(answer, { severity: 3, text: "No such server.", workerPid: worker.pid });
    });

    test("a command given up by its caller does not shift the answers of the next", async () => {
      await queue.run(setWeight(7));
      worker.freeze();
      const controller = new AbortController();
      const given = queue.run(encodeCommand(["show", "version"]), { signal: controller.signal });
      const next = queue.run(getWeight);
      await waitFor("both to be in flight", () => queue.load.inFlight === 2);
      controller.abort();
      await assert.rejects(given, { name: "DomainError", reason: "CANCELLED" });
      worker.thaw();
      assert.equal((await next).text, "7 (initial 100)");
    });

    test("a cancelled command that was not sent is not sent later", async () => {
      worker.freeze();
      const controller = new AbortController();
      const inFlight = Array.from({ length: 128 }, () => queue.run(getWeight));
      const behind = queue.run(setWeight(99), { signal: controller.signal });
      await waitFor("the window to be full", () => queue.load.inFlight === 128 || queue.load.queued === 129);
      controller.abort();
      await assert.rejects(behind, { reason: "CANCELLED" });
      worker.thaw();
      await Promise.all(inFlight);
      assert.notEqual((await queue.run(getWeight)).text, "99 (initial 100)");
    });

    test("a worker that is stuck fails commands at their deadlines and holds no connection", async () => {
      await queue.run(getWeight);
      worker.freeze();
      const started = performance.now();
      await assert.rejects(queue.run(getWeight, { timeoutMs: 100 }), isUnavailable("unknown"));
      assert.ok(performance.now() - started < 1_000);
      await waitFor("the connection to be closed", () => queue.load.connections === 0);
      // No greeting either: the next command is never sent.
      await assert.rejects(queue.run(setWeight(1), { timeoutMs: 100 }), isUnavailable("not_sent"));
      worker.thaw();
      assert.match((await queue.run(getWeight)).text, /initial 100/);
    });

    test("aimed at none, what waits fails at once, and so does what comes", async () => {
      worker.freeze();
      const waiting = queue.run(getWeight);
      queue.aim({ kind: "none", reason: "it is being replaced", retryAfterMs: 200 });
      await assert.rejects(waiting, isUnavailable("not_sent"));
      await assert.rejects(queue.run(getWeight), /it is being replaced/);
      worker.thaw();
      queue.aim({ kind: "worker", pid: worker.pid });
      assert.match((await queue.run(getWeight)).text, /initial 100/);
    });

    test("another process than the one aimed at is not given the command", async () => {
      let strangers = 0;
      const lost = newQueue(worker.statsSocket, worker.pid + 1, () => {
        strangers += 1;
      });
      const command = lost.run(setWeight(55), { timeoutMs: 2_000 });
      await waitFor("the stranger to be noticed", () => strangers > 1);
      lost.aim({ kind: "worker", pid: worker.pid });
      assert.equal((await command).workerPid, worker.pid);
      lost.close("the test is over");
    });
  });
}

suite("HAProxy", async () => {
  const haproxy = await startHaproxy("backend b\n  server s 127.0.0.1:1 weight 100");
  const pid = await haproxy.workerPid();
  return {
    statsSocket: haproxy.statsSocket,
    pid,
    freeze() {
      process.kill(pid, "SIGSTOP");
      // The signal is there at once, and takes effect a moment later, in which the worker could still answer.
      while (!/\) [Tt] /.test(readFileSync(`/proc/${pid}/stat`, "latin1")));
    },
    thaw: () => process.kill(pid, "SIGCONT"),
    stop: () => haproxy.stop(),
  };
});

suite("a scripted socket", async () => {
  const socket = await startScriptedSocket();
  let weight = 100;
  socket.react = (command) => {
    const set = /^set server b\/(\S+) weight (\d+)$/.exec(command);
    if (set !== null && set[1] !== "s") return "[3]: No such server.\n";
    if (set !== null) weight = Number(set[2]);
    return command === "get weight b/s" ? `${weight} (initial 100)\n` : "";
  };
  return {
    statsSocket: socket.statsSocket,
    pid: socket.pid,
    freeze: () => socket.freeze(),
    thaw: () => socket.thaw(),
    stop: () => socket.stop(),
  };
});

describe("command queue over a hostile socket", () => {
  let socket: ScriptedSocket;
  let queue: CommandQueue;
  beforeEach(async () => {
    socket = await startScriptedSocket();
    queue = newQueue(socket.statsSocket, socket.pid);
  });
  afterEach(async () => {
    queue.close("the test is over");
    await waitFor("every connection to be closed", () => socket.connections.size === 0);
    await socket.stop();
  });

  test("a connection cut in the middle of an answer fails a change and asks a read again", async () => {
    let cuts = 0;
    socket.react = (command) => {
      if (command === "show x" && cuts > 0) return "whole\n";
      cuts += 1;
      return { kind: "cut", after: "ha" };
    };
    assert.equal((await queue.run("show x\n", { readOnly: true })).text, "whole");
    await assert.rejects(queue.run("set x\n"), isUnavailable("unknown"));
    assert.equal(socket.received.filter((command) => command === "set x").length, 1);
  });

  test("what waits behind a cut change is sent on the next connection", async () => {
    socket.react = (command) => (command === "cut" ? { kind: "cut", after: "" } : `answer to ${command}\n`);
    const cut = queue.run("cut\n");
    const failed = assert.rejects(cut, isUnavailable("unknown"));
    await failed;
    assert.equal((await queue.run("next\n")).text, "answer to next");
  });

  test("an answer that nobody asked for ends the connection", async () => {
    socket.react = (command) => (command === "two" ? { kind: "raw", bytes: "one\n> two\n> " } : "fresh\n");
    assert.equal((await queue.run("two\n")).text, "one");
    await waitFor("the connection to be closed", () => queue.load.connections === 0);
    assert.equal((await queue.run("next\n")).text, "fresh");
  });

  test("a late answer to an expired command is dropped while others wait on the connection", async () => {
    const late = Promise.withResolvers<string>();
    socket.react = (command) => (command === "slow" ? { kind: "later", answer: late.promise } : "mine\n");
    const slow = queue.run("slow\n", { timeoutMs: 50 });
    const next = queue.run("next\n", { timeoutMs: 5_000 });
    await assert.rejects(slow, isUnavailable("unknown"));
    late.resolve("not mine\n");
    assert.equal((await next).text, "mine");
    assert.equal(queue.load.connections, 1);
  });

  test("when the worker changes, what was sent is answered by the old one and the rest by the new", async () => {
    const old = Promise.withResolvers<string>();
    socket.react = (command) => (command === "before" ? { kind: "later", answer: old.promise } : "new\n");
    const before = queue.run("before\n");
    await waitFor("the command to be sent", () => socket.received.includes("before"));
    socket.pid = 2_000;
    queue.aim({ kind: "worker", pid: 2_000 });
    const afterwards = await queue.run("after\n");
    assert.deepEqual([afterwards.text, afterwards.workerPid], ["new", 2_000]);
    old.resolve("old\n");
    const answered = await before;
    assert.deepEqual([answered.text, answered.workerPid], ["old", 1_000]);
    await waitFor("the old connection to be closed", () => socket.connections.size === 1);
  });

  test("what a stopping worker refuses is given to the next one, in its order, before anything else", async () => {
    const old = Promise.withResolvers<string>();
    const refused = "[3]: Proxy is disabled.\n";
    socket.react = (command) => (command === "last" ? { kind: "later", answer: old.promise } : refused);
    const commands = ["one", "two", "last"].map((command) => queue.run(`${command}\n`));
    await waitFor("a refusal to have come", () => socket.received.includes("last"));
    socket.pid = 2_000;
    socket.react = () => "done\n";
    queue.aim({ kind: "worker", pid: 2_000 });
    const later = queue.run("later\n");
    old.resolve(refused);
    const answers = await Promise.all([...commands, later]);
    assert.deepEqual(
      new Set(answers.map(({ text, workerPid }) => `${text} by ${workerPid}`)),
      new Set(["done by 2000"]),
    );
    assert.deepEqual(socket.received, ["one", "two", "last", "one", "two", "last", "later"]);
  });

  test("a refusal that the same worker repeats is final: the proxy is disabled in the file", async () => {
    socket.react = () => "[3]: Proxy is disabled.\n";
    assert.equal((await queue.run("x\n")).text, "Proxy is disabled.");
    assert.deepEqual(socket.received, ["x", "x"]);
  });

  test("a socket that never greets holds no connection and keeps to deadlines", async () => {
    socket.freeze();
    await assert.rejects(queue.run("x\n", { timeoutMs: 200 }), isUnavailable("not_sent"));
    queue.aim({ kind: "none", reason: "down", retryAfterMs: 1 });
    await waitFor("the connection to be closed", () => socket.connections.size === 0);
    socket.thaw();
  });

  test("a connection that answers nothing any more is given up, however many go on asking", async () => {
    assert.equal((await queue.run("x\n")).text, "");
    const [silent] = socket.connections;
    assert.ok(silent);
    socket.react = () => ({ kind: "raw", bytes: "" });
    // There is always somebody who has not waited long yet.
    const asking = setInterval(() => void queue.run("y\n", { timeoutMs: 500 }).catch(() => {}), 100);
    try {
      await waitFor("the connection to be closed", () => !socket.connections.has(silent));
    } finally {
      clearInterval(asking);
    }
    socket.react = () => "fine\n";
    await eventually(async () => assert.equal((await queue.run("z\n")).text, "fine"));
  });

  test("any order of cuts, silence, cancellations and answers gives each command its own answer or an error", async () => {
    const behaviour = fc.constantFrom("answer", "answer", "answer", "cut", "half", "cancel");
    await fc.assert(
      fc.asyncProperty(fc.array(behaviour, { minLength: 1, maxLength: 40 }), async (script) => {
        socket.react = (command) => {
          if (command.startsWith("cut")) return { kind: "cut", after: "" };
          if (command.startsWith("half")) return { kind: "cut", after: `${command}\n>` };
          return `${command}\n`;
        };
        const results = await Promise.all(
          script.map(async (what, index) => {
            const controller = new AbortController();
            const line = `${what} ${index}`;
            const answer = queue.run(`${line}\n`, { signal: controller.signal, timeoutMs: 2_000 });
            if (what === "cancel") setImmediate(() => controller.abort());
            return answer.then(
              ({ text }) => text === line,
              (error) => error instanceof DomainError,
            );
          }),
        );
        assert.ok(results.every(Boolean));
      }),
      { numRuns: 60 },
    );
    assert.deepEqual([queue.load.queued, queue.load.inFlight], [0, 0]);
  });
});

describe("a command", () => {
  let haproxy: TestHaproxy;
  let queue: CommandQueue;
  let map: string;
  before(async () => {
    haproxy = await startHaproxy(({ dir }) => {
      map = join(dir, "values.map");
      writeFileSync(map, "");
      return `backend b\n  http-request set-header x %[str(k),map(${map})]\n  server s 127.0.0.1:1 weight 100`;
    });
    queue = newQueue(haproxy.statsSocket, await haproxy.workerPid());
  });
  after(async () => {
    queue.close("the test is over");
    await haproxy.stop();
  });

  /** Words that would end a command, begin a payload, or be taken apart, were they not escaped. */
  const dangerous = fc.constantFrom(
    ";",
    "\\",
    "\\\\",
    " ",
    "\t",
    "<<",
    "<",
    ">",
    "#",
    "@1",
    '"',
    "'",
    "$",
    "%[x]",
    "> ",
    "+ ",
    "!",
  );
  const value = fc
    .array(
      fc.oneof(dangerous, fc.string({ unit: "grapheme", maxLength: 8 }), fc.constant("set weight b/s 1")),
      { maxLength: 30 },
    )
    .map((parts) => parts.join(""))
    // What no command can hold is refused, which the next test shows.
    .filter((text) => text !== "" && !/[\x00-\x08\x0a-\x1f\x7f]/.test(text));

  test("reaches HAProxy word for word, whatever its values hold", async () => {
    await fc.assert(
      fc.asyncProperty(value, async (text) => {
        const [, added, shown, , weight] = await Promise.all([
          queue.run(encodeCommand(["clear", "map", map])),
          queue.run(encodeCommand(["add", "map", map, "key", text])),
          queue.run(encodeCommand(["show", "map", map])),
          queue.run(encodeCommand(["get", "map", map, text])),
          queue.run(getWeight),
        ]);
        assert.equal(added?.text, "");
        assert.equal(shown?.text.replace(/^\S+ key /, ""), text.replace(/\n+$/, ""));
        assert.equal(weight?.text, "100 (initial 100)");
      }),
      { numRuns: 300 },
    );
  });

  test("with lines as payload is cut into pieces that HAProxy takes", async () => {
    const lines = Array.from({ length: 5_000 }, (_, i) => `key${i} value ${i} <<; set weight b/s 1`);
    const commands = encodeLinesCommand(["add", "map", map], lines);
    assert.ok(commands.length > 10);
    assert.ok(commands.every((command) => Buffer.byteLength(command) < 9_000));
    await queue.run(encodeCommand(["clear", "map", map]));
    const answers = await Promise.all(commands.map((command) => queue.run(command)));
    assert.deepEqual(new Set(answers.map((answer) => answer.text)), new Set([""]));
    const shown = await queue.run(encodeCommand(["show", "map", map]));
    assert.deepEqual(
      shown.text.split("\n").map((line) => line.replace(/^\S+ /, "")),
      lines,
    );
    assert.equal((await queue.run(getWeight)).text, "100 (initial 100)");
  });

  test("that cannot be written is refused before it is sent", () => {
    const refused = { name: "DomainError", reason: "FIELD_INVALID" };
    for (const word of ["", "a\nshow info", "a\rb", "a\0b", "\u001b[0m", "\x7f"]) {
      assert.throws(() => encodeCommand(["show", word]), refused, JSON.stringify(word));
      assert.throws(
        () => encodeLinesCommand(["add", "map", "m"], ["ok", word]),
        refused,
        JSON.stringify(word),
      );
    }
    assert.throws(() => encodeCommand([]), refused);
    assert.throws(() => encodeCommand(Array.from({ length: 65 }, () => "x")), refused);
    assert.throws(() => encodeCommand(["x".repeat(16_000)]), refused);
    assert.throws(() => encodeLinesCommand(["add", "map", "m"], ["x".repeat(16_000)]), refused);
  });
});
