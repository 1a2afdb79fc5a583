import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fakeHost } from "./fake-host.mjs";
import { ensure } from "./step.mjs";

/** A step that counts its installs. */
function counter() {
  const step = {
    installs: 0,
    isPresent: () => step.installs > 0,
    install: async () => {
      step.installs++;
    },
  };
  return step;
}

test("a step runs once, and the lock is given back", async (t) => {
  const { host, said } = fakeHost(t, {});
  const step = counter();
  await ensure(host, step);
  await ensure(host, step);
  assert.equal(step.installs, 1);
  assert.deepEqual(said, []);
  assert.equal(existsSync(join(host.tools, "setup.lock")), false);
});

test("the lock is given back when a step fails", async (t) => {
  const { host } = fakeHost(t, {});
  const step = { isPresent: () => false, install: () => Promise.reject(new Error("no")) };
  await assert.rejects(() => ensure(host, step), { message: "no" });
  assert.equal(existsSync(join(host.tools, "setup.lock")), false);
});

test("the lock of a dead set-up is taken over", async (t) => {
  const { host, said } = fakeHost(t, {});
  const dead = spawn("/bin/true");
  await once(dead, "close");
  writeFileSync(join(host.tools, "setup.lock"), `${dead.pid}\n`);
  const step = counter();
  await ensure(host, step);
  assert.equal(step.installs, 1);
  assert.deepEqual(said, []);
});

test("a second set-up waits for the first, says so, and finds the work done", async (t) => {
  const { host, said } = fakeHost(t, {});
  const lock = join(host.tools, "setup.lock");
  // The first one is this process; it ends as soon as the second has said that it waits.
  writeFileSync(lock, `${process.pid}\n`);
  const step = counter();
  const say = (/** @type {string} */ line) => {
    said.push(line);
    step.installs = 1;
    rmSync(lock);
  };
  await ensure({ ...host, say }, step);
  assert.deepEqual(said, [`Waiting for another set-up (process ${process.pid}) to end.`]);
  assert.equal(step.installs, 1);
});
