import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { haproxyBinary } from "../support/haproxy.ts";
import { preamble } from "../support/preamble.ts";
import { runHaplane } from "../support/run-haplane.ts";

let haplane: TestHaplane;
before(async () => {
  haplane = await startHaplane(
    (statsSocket) => `${preamble(statsSocket)}backend web\n    server a 127.0.0.1:18001 weight 1\n`,
  );
});
after(() => haplane.stop());

const lock = () => join(dirname(haplane.config), ".haproxy.cfg.haplane-lock");

/** Starts one more haplane over the same configuration, which is to end by itself. */
const second = (stateDir: string) =>
  runHaplane([
    ...["serve", `--state-dir=${stateDir}`, `--config=${haplane.config}`, `--haproxy=${haproxyBinary}`],
    ...["ssl-certs", "maps", "general", "spoe"].map((kind) => `--${kind}-dir=${join(haplane.dir, kind)}`),
    ...["--grpc=127.0.0.1:0", "--connect=127.0.0.1:0"],
  ]);

async function weigh(weight: number): Promise<void> {
  await haplane.call("haplane.v1.Configuration/Update", {
    resource: { name: "backends/web/servers/a", server: { weight } },
    updateMask: "weight",
  });
  assert.match(readFileSync(haplane.config, "utf8"), new RegExp(`weight ${weight}\n`));
}

for (const [what, stateDir, said] of [
  ["state directory", () => join(haplane.dir, "state"), /Another haplane \(process \d+\) is using the state/],
  [
    "configuration",
    () => join(haplane.dir, "other-state"),
    /Another haplane writes the configuration .*haproxy\.cfg \(it holds .*haplane-lock\); end it, or only look/,
  ],
] as const)
  test(`a second haplane over the same ${what} says so and ends, and the first and its HAProxy are as before`, async () => {
    const worker = await haplane.worker();
    const { code, error } = second(stateDir());
    assert.equal(code, 1);
    assert.match(error, said);
    assert.deepEqual(await haplane.worker(), worker);
    await weigh(what.length);
  });

test("what a killed haplane held is the next one's", async () => {
  await haplane.crash(async () => assert.ok(existsSync(lock()), "the lock is left behind"));
  assert.equal(second(join(haplane.dir, "other-state")).code, 1);
  await weigh(99);
});
