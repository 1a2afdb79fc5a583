import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { preamble } from "../support/preamble.ts";
import { waitFor } from "../support/wait.ts";

let haplane: TestHaplane;
let good: string;
let bad: string;

before(async () => {
  haplane = await startHaplane((statsSocket) => {
    good = `${preamble(statsSocket)}backend site\n    server a 127.0.0.1:18001 id 1 weight 5\n`;
    bad = `${good}backend broken\n    no-such-keyword\n`;
    return good;
  });
  writeFileSync(haplane.config, bad);
  await waitFor("the edit to be held", async () => /Writes are refused/.test(await capabilities()));
});
after(() => haplane.stop());

const capabilities = async () =>
  JSON.stringify(await haplane.call<object>("haplane.v1.Configuration/GetCapabilities").catch(() => ({})));
const masterPid = () => Number(readFileSync(join(haplane.dir, "state", "haproxy.pid"), "utf8"));
const weightOfA = async () =>
  / a 127\.0\.0\.1 \d+ \d+ (\d+) /.exec(await haplane.ask("show servers state site"))?.[1];

async function anotherMaster(former: number): Promise<void> {
  await waitFor("HAProxy to run again", async () => {
    const running = await haplane.worker().catch(() => undefined);
    return (
      running !== undefined && masterPid() !== former && (await weightOfA().catch(() => undefined)) === "5"
    );
  });
}

test("while an edit is held, an HAProxy that dies is started from what it last accepted, and the edit is left alone", async () => {
  const former = masterPid();
  process.kill(former, "SIGKILL");
  await anotherMaster(former);
  assert.equal(readFileSync(haplane.config, "utf8"), bad);
  assert.match(haplane.log(), /HAProxy started from what it last accepted/);
});

test("it is found again by a haplane that was killed, also where HAProxy has died with it", async () => {
  const former = masterPid();
  await haplane.crash();
  assert.equal(masterPid(), former);
  await haplane.crash(async () => void process.kill(masterPid(), "SIGKILL"));
  await anotherMaster(former);
  assert.equal(readFileSync(haplane.config, "utf8"), bad);
});

test("once the edit is mended HAProxy runs the file again, and says its name", async () => {
  const former = masterPid();
  writeFileSync(haplane.config, good.replace("weight 5", "weight 7"));
  await waitFor("the edit to run", async () => (await weightOfA().catch(() => undefined)) === "7");
  assert.equal(masterPid(), former, "by a reload");
  writeFileSync(haplane.config, good.replace("weight 5", "weight 8"));
  await waitFor("the next one too", async () => (await weightOfA().catch(() => undefined)) === "8");
  process.kill(former, "SIGKILL");
  await waitFor("HAProxy to run again", async () => {
    return masterPid() !== former && (await weightOfA().catch(() => undefined)) === "8";
  });
  await haplane.crash();
  const besides = readdirSync(haplane.dir).filter((name) => name.startsWith(".haproxy.cfg"));
  assert.deepEqual(besides, [".haproxy.cfg.haplane-lock"], "nothing but the lock is left beside the file");
});
