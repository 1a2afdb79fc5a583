import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { afterEach, describe, test } from "node:test";
import { type ShellCommand, shellEnvironment, startInShell } from "../support/commands.ts";
import { processesWith } from "../support/descendants.ts";
import { root } from "../support/programs.ts";

const MARK = "DEMO_OF_TEST";

describe("the demo", () => {
  let mark: string;
  let demo: ShellCommand;

  function start(seconds: number): void {
    mark = randomUUID();
    demo = startInShell(`exec node scripts/demo.ts --seconds ${seconds}`, shellEnvironment({ [MARK]: mark }));
  }

  /** How it ended, when it and all that it started are gone. */
  async function ended() {
    const run = await demo.ended;
    const stateDir = /in (\.haplane\/demo-\w+)/.exec(run.stdout)?.[1] ?? "";
    assert.notEqual(stateDir, "");
    assert.ok(!existsSync(join(root, stateDir)), "its state directory is removed");
    assert.deepEqual([...processesWith(MARK, mark).values()], [], "nothing is left running");
    return run;
  }

  afterEach((t) => {
    if (demo.code === undefined) t.diagnostic(`still runs: ${demo.stdout}${demo.stderr}`);
    for (const pid of processesWith(MARK, mark).keys()) process.kill(pid, "SIGKILL");
  });

  test("ends by itself, without a failure and without a reload, and leaves nothing behind", async (t) => {
    start(5);
    const { code, stdout, stderr } = await ended();
    assert.equal(code, 0, stderr);
    assert.match(
      stdout,
      /\+ app-\d+ registered: event after [\d.]+ ms, first request served after [\d.]+ ms/,
    );
    assert.match(stdout, /failures {3}0$/m);
    assert.match(stdout, /reloads {4}0 since the service was new \(that cost 1\); the same worker since/);
    assert.doesNotMatch(stdout, /\x1b/, "calm where there is no terminal");
    for (const line of stdout.split("\n").filter((line) => line.includes("→"))) t.diagnostic(line.trim());
  });

  test("shows instances that come and go; Ctrl-C ends it early, with what was seen and nothing left", async () => {
    start(120);
    await demo.until(/- app-1 deregistered: out of HAProxy after [\d.]+ ms, its process is ended/);
    await demo.interrupt();
    const { code, stdout, stderr } = await ended();
    assert.equal(code, 0, stderr);
    assert.match(stdout, /failures {3}0$/m);
  });

  test("a request that fails is told, and the exit code is 1", async () => {
    start(5);
    await demo.until(/app-4 registered/);
    // A HAProxy that dies cuts its connections; haplane starts it again.
    for (const [pid, command] of processesWith(MARK, mark)) {
      if (command.includes("haproxy -")) process.kill(pid, "SIGKILL");
    }
    const { code, stdout } = await ended();
    assert.equal(code, 1);
    assert.match(stdout, /failed: (kept|new) connection: /);
    assert.match(stdout, /ANOTHER WORKER SINCE/);
  });
});
