import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { type TestContext, test } from "node:test";
import { EventKind, ReloadState } from "../../gen/haplane/v1/events_pb.js";
import { DomainError } from "../../src/lib/errors.ts";
import { commitWorld, durableEvents, server, textEdit, type World } from "../support/commit-world.ts";
import { scriptedHaproxy } from "../support/scripted-factory.ts";
import type { ScriptedHaproxy } from "../support/scripted-haproxy.ts";
import { eventually } from "../support/wait.ts";

async function scripted(t: TestContext): Promise<{ w: World; haproxy: ScriptedHaproxy }> {
  const w = await commitWorld(t, scriptedHaproxy);
  return { w, haproxy: w.haproxy as ScriptedHaproxy };
}

function gate(): { readonly open: () => void; readonly passed: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { open: resolve, passed: promise };
}

test("free-running: a change of members is live while a check and a reload are under way, and is there after it", async (t) => {
  const { w, haproxy } = await scripted(t);
  const [check, reload] = [gate(), gate()];
  haproxy.beforeCheck = () => check.passed;
  haproxy.beforeReload = () => reload.passed.then(() => undefined);
  const created = w.commit.target.createBackends([{ name: "new", servers: [] }], "sources/test");

  await eventually(() => assert.equal(w.commit.status.stage, "checking"));
  assert.deepEqual(
    await w.commit.target.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test"),
    [{ ok: true }],
  );
  assert.ok(haproxy.servers().includes("web/c 127.0.0.1:18003 1 ready"));
  await eventually(async () => assert.match(await w.text(), /server c/));
  check.open();

  await eventually(() => assert.equal(w.commit.status.stage, "reloading"));
  const during = [
    { kind: "add", ...server("d", 18004, 4) },
    { kind: "remove", name: "a" },
    { kind: "set-weight", name: "b", weight: 50 },
  ] as const;
  assert.deepEqual(await w.commit.target.changeServers("web", during, "sources/test"), [
    { ok: true },
    { ok: true },
    { ok: true },
  ]);
  assert.ok(haproxy.servers().includes("web/d 127.0.0.1:18004 1 ready"));
  reload.open();

  await created;
  assert.deepEqual(haproxy.servers(), [
    "web/b 127.0.0.1:18002 50 ready",
    "web/c 127.0.0.1:18003 1 ready",
    "web/d 127.0.0.1:18004 1 ready",
  ]);
  await eventually(async () => {
    const text = await w.text();
    assert.match(text, /server d .*\n\nbackend new/);
    assert.doesNotMatch(text, /server a/);
    assert.match(text, /server b .* weight 50/);
  });
});

test("truthful: what HAProxy's check refuses changes nothing, is said with its alerts, and does not fail who came along", async (t) => {
  const { w, haproxy } = await scripted(t);
  haproxy.beforeCheck = async () => {};
  const before = await w.text();
  const bad = w.commit.target.createBackends(
    [{ name: "no-such-keyword", servers: [server("s", 1, 1)] }],
    "sources/bad",
  );
  const good = w.commit.target.createBackends(
    [{ name: "good", servers: [server("s", 1, 1)] }],
    "sources/good",
  );
  await assert.rejects(bad, (error: DomainError) => {
    assert.equal(error.reason, "CONFIGURATION_REFUSED");
    assert.equal(error.alerts[0]?.file, w.path);
    assert.equal(error.alerts[0]?.resource, "backends/no-such-keyword");
    return true;
  });
  await good;
  assert.equal(await w.text(), `${before}\nbackend good\n    server s 127.0.0.1:1 id 1\n`);
  assert.equal(w.reloads(), 1);
});

for (const kind of ["refused", "master_lost", "timed_out"] as const) {
  test(`truthful: a reload that ends as ${kind} takes back the group, and nothing that others did meanwhile`, async (t) => {
    const { w, haproxy } = await scripted(t);
    const before = await w.text();
    haproxy.beforeReload = async () => {
      await w.commit.target.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test");
      return { kind, messages: [], log: "it cannot be", tookMs: 1 };
    };
    await assert.rejects(
      w.commit.target.createBackends([{ name: "new", servers: [] }], "sources/test"),
      /it cannot be/,
    );
    await eventually(async () =>
      assert.equal(
        await w.text(),
        before.replace("weight 5\n", "weight 5\n    server c 127.0.0.1:18003 id 3\n"),
      ),
    );
    assert.ok(haproxy.servers().includes("web/c 127.0.0.1:18003 1 ready"));
    const reloads = await durableEvents(w.store, EventKind.RELOAD);
    assert.deepEqual(
      reloads.map(({ payload }) => payload.case === "reload" && payload.value.state),
      [ReloadState.RUNNING, ReloadState.FAILED],
    );
    assert.deepEqual(await w.store.pendingIntents(), []);
    haproxy.beforeReload = async () => undefined;
    await w.commit.target.createBackends([{ name: "new", servers: [] }], "sources/test");
  });
}

test("a group that the reload refuses is split: only the one that is to blame fails", async (t) => {
  const { w, haproxy } = await scripted(t);
  haproxy.beforeReload = async () =>
    (await w.text()).includes("backend bad")
      ? { kind: "refused", messages: [], log: "bad", tookMs: 1 }
      : undefined;
  const outcomes = await Promise.allSettled(
    ["one", "bad", "two"].map((name) =>
      w.commit.target.createBackends([{ name, servers: [] }], "sources/test"),
    ),
  );
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  const text = await w.text();
  assert.match(text, /backend one[\s\S]*backend two/);
  assert.doesNotMatch(text, /backend bad/);
});

test("a hand edit in the middle of a group is kept, and the group is made on top of it", async (t) => {
  const { w, haproxy } = await scripted(t);
  haproxy.beforeCheck = async () => {
    haproxy.beforeCheck = async () => {};
    await writeFile(w.path, (await w.text()).replace("# the first", "# mine"));
  };
  await w.commit.target.createBackends([{ name: "new", servers: [] }], "sources/test");
  const text = await w.text();
  assert.match(text, /# mine/);
  assert.match(text, /backend new/);
});

test("a command that HAProxy refuses is made good by one reload of the file", async (t) => {
  const { w, haproxy } = await scripted(t);
  haproxy.refuse = (change) =>
    change.kind === "add"
      ? new DomainError("HAPROXY_REFUSED", "Backend must use a dynamic load balancing")
      : undefined;
  assert.deepEqual(
    await w.commit.target.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test"),
    [{ ok: true }],
  );
  assert.equal(w.reloads(), 1);
  assert.ok(haproxy.servers().includes("web/c 127.0.0.1:18003 1 ready"));
  const [running] = await durableEvents(w.store, EventKind.RELOAD);
  assert.deepEqual(running?.payload.case === "reload" && running.payload.value.reasons, [
    "Backend must use a dynamic load balancing",
  ]);
});

test("an HAProxy that is started anew by somebody else gets what the file lacked", async (t) => {
  const { w, haproxy } = await scripted(t);
  await w.commit.target.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test");
  await haproxy.restart();
  await w.commit.target.changeServers("web", [], "sources/test");
  assert.ok(haproxy.servers().includes("web/c 127.0.0.1:18003 1 ready"));
});

test("a command that is under way when HAProxy is reloaded is not taken for what somebody had set before it", async (t) => {
  const { w, haproxy } = await scripted(t);
  const [asked, told] = [gate(), gate()];
  const { applyServers } = haproxy.runtime;
  Object.assign(haproxy.runtime, {
    applyServers: async (...args: Parameters<typeof applyServers>) => {
      asked.open();
      await told.passed;
      return applyServers(...args);
    },
  });
  const weight = w.commit.change({ edit: textEdit((text) => text.replace("weight 5", "weight 6")) });
  await asked.passed;
  const reload = w.commit.change({
    edit: textEdit((text) => text.replace("connect 1s", "connect 2s")),
  });
  await eventually(() => assert.equal(w.reloads(), 1));
  told.open();
  await Promise.all([weight, reload]);
  assert.ok(haproxy.servers().includes("web/b 127.0.0.1:18002 6 ready"));
});
