import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, readlinkSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startHaplane } from "../support/haplane.ts";
import { haproxyBinary } from "../support/haproxy.ts";
import { preamble } from "../support/preamble.ts";

test("an HAProxy whose binary is replaced on disk is told of, checked with the new one and reloaded into it", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "haplane-upgrade-"));
  const [binary, next] = [join(dir, "haproxy"), join(dir, "next")];
  for (const copy of [binary, next]) copyFileSync(haproxyBinary, copy);
  const haplane = await startHaplane(
    (statsSocket) => `${preamble(statsSocket)}backend site\n`,
    [`--haproxy=${binary}`],
  );
  t.after(async () => {
    await haplane.stop();
    rmSync(dir, { recursive: true });
  });
  const master = Number(readFileSync(join(haplane.dir, "state", "haproxy.pid"), "utf8"));
  const runs = () => readlinkSync(`/proc/${master}/exe`);
  renameSync(next, binary);
  assert.equal(runs(), `${binary} (deleted)`);

  await haplane.call("haplane.v1.Configuration/Create", {
    resource: { name: "backends/other", backend: {} },
  });
  assert.match(haplane.log(), /binary was replaced on disk/);
  assert.equal(runs(), binary, "the reload has started the new one");
  assert.match(await haplane.ask("show backend"), /^other$/m);

  await haplane.call("haplane.v1.Configuration/Create", {
    resource: { name: "backends/third", backend: {} },
  });
  assert.equal(haplane.log().match(/binary was replaced on disk/g)?.length, 1, "said once");
});
