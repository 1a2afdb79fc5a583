import assert from "node:assert/strict";
import * as nodeFs from "node:fs/promises";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { CommitPolicy } from "../../src/commit/policy.ts";
import { requireReplaceable } from "../../src/commit/replaceable.ts";
import { BODY, commitWorld, server, textEdit, type World } from "../support/commit-world.ts";
import { scriptedHaproxy } from "../support/scripted-factory.ts";
import type { ScriptedHaproxy } from "../support/scripted-haproxy.ts";
import { eventually } from "../support/wait.ts";

async function scripted(
  t: TestContext,
  policy: Partial<CommitPolicy>,
): Promise<{ w: World; haproxy: ScriptedHaproxy }> {
  const w = await commitWorld(t, scriptedHaproxy, BODY, policy);
  return { w, haproxy: w.haproxy as ScriptedHaproxy };
}

const backend = (name: string) => [{ name, servers: [] }];

test("what needs a reload waits for company as long as the setting says", async (t) => {
  const { w } = await scripted(t, { reloadDelayMs: 300 });
  const first = w.commit.target.createBackends(backend("one"), "sources/test");
  await eventually(() => assert.equal(w.commit.status.stage, "gathering"));
  const second = w.commit.target.createBackends(backend("two"), "sources/test");
  await Promise.all([first, second]);
  assert.equal(w.reloads(), 1);
});

test("between two reloads lies the least time that the setting says", async (t) => {
  const { w } = await scripted(t, { reloadIntervalMs: 2_000 });
  await w.commit.target.createBackends(backend("one"), "sources/test");
  const first = performance.now();
  const second = w.commit.target.createBackends(backend("two"), "sources/test");
  await eventually(() => assert.equal(w.commit.status.stage, "waiting"));
  await second;
  assert.ok(performance.now() - first > 500, "it did not wait");
});

test("reloads wait while too many old workers run, and go on when they have ended", async (t) => {
  const { w, haproxy } = await scripted(t, { maxOldWorkers: 2 });
  haproxy.keepOldWorkers([7, 8]);
  const created = w.commit.target.createBackends(backend("one"), "sources/test");
  await eventually(() => assert.equal(w.commit.status.stage, "waiting"));
  assert.equal(w.reloads(), 0);
  haproxy.keepOldWorkers([8]);
  await created;
  assert.equal(w.reloads(), 1);
});

test("an edit by hand is held until somebody asks for a reload, when that is the setting", async (t) => {
  const { w, haproxy } = await scripted(t, { externalEdits: "hold" });
  await writeFile(w.path, BODY.replace("weight 5", "weight 6"));
  await eventually(() => assert.equal(w.commit.status.held?.reason, "FILE_HELD"));
  await assert.rejects(w.commit.change({ edit: textEdit((text) => `${text}# more\n`) }), {
    reason: "FILE_HELD",
  });
  assert.deepEqual(
    await w.commit.target.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test"),
    [{ ok: true }],
  );
  assert.ok(haproxy.servers().includes("web/c 127.0.0.1:18003 1 ready"));
  await w.commit.reload();
  assert.equal(w.commit.status.held, undefined);
  assert.ok(haproxy.servers().includes("web/b 127.0.0.1:18002 6 ready"));
  await eventually(async () => assert.match(await w.text(), /weight 6\n {4}server c/));
});

test("read-only: nothing is written or reloaded, discovery changes the running HAProxy only, edits by hand are seen", async (t) => {
  const { w, haproxy } = await scripted(t, { readOnly: true });
  await assert.rejects(w.commit.change({ edit: textEdit((text) => `${text}# more\n`) }), {
    reason: "NOT_SUPPORTED",
  });
  await assert.rejects(w.commit.target.createBackends(backend("one"), "sources/test"), {
    reason: "NOT_SUPPORTED",
  });
  await assert.rejects(w.commit.reload(), { reason: "NOT_SUPPORTED" });
  assert.deepEqual(
    await w.commit.target.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test"),
    [{ ok: true }],
  );
  assert.ok(haproxy.servers().includes("web/c 127.0.0.1:18003 1 ready"));
  const edited = BODY.replace("weight 5", "weight 6");
  await writeFile(w.path, edited);
  await eventually(() =>
    assert.equal(w.commit.target.servers("web")?.find(({ name }) => name === "b")?.weight, 6),
  );
  assert.equal(await w.text(), edited);
  assert.equal(w.reloads(), 0);
});

test("a file that cannot be replaced is found out before anything depends on it", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "haplane-replaceable-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "haproxy.cfg");
  await writeFile(path, BODY);
  await requireReplaceable(nodeFs, path);

  const mounted = {
    ...nodeFs,
    readFile: async () => Buffer.from(`36 25 0:32 / ${path} rw - ext4 /dev/x rw\n`),
  };
  await assert.rejects(
    requireReplaceable(mounted as unknown as typeof nodeFs, path),
    /mount point of its own.*mount its directory/,
  );

  const denied = {
    ...nodeFs,
    open: async () => Promise.reject(Object.assign(new Error("no"), { code: "EROFS" })),
  };
  await assert.rejects(
    requireReplaceable(denied as unknown as typeof nodeFs, path),
    /cannot be written \(EROFS\)/,
  );
});
