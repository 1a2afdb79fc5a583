import assert from "node:assert/strict";
import * as nodeFs from "node:fs/promises";
import { type TestContext, test } from "node:test";
import { EventKind } from "../../gen/haplane/v1/events_pb.js";
import { encodeIntent } from "../../src/commit/intent.ts";
import type { FileSystem } from "../../src/lib/durable-file.ts";
import { DomainError } from "../../src/lib/errors.ts";
import type { Store } from "../../src/store/store.ts";
import { BODY, commitWorld, durableEvents, server, textEdit, type World } from "../support/commit-world.ts";
import { scriptedHaproxy } from "../support/scripted-factory.ts";
import type { ScriptedHaproxy } from "../support/scripted-haproxy.ts";
import { eventually } from "../support/wait.ts";

/** A disk that can be full: then no file of ours can be made. */
class Disk {
  full = false;
  readonly fs: FileSystem = {
    ...nodeFs,
    open: (async (...args: Parameters<FileSystem["open"]>) => {
      if (this.full && String(args[0]).includes(".haplane-new-"))
        throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
      return nodeFs.open(...args);
    }) as FileSystem["open"],
  };
}

async function scripted(
  t: TestContext,
  disk = new Disk(),
): Promise<{ w: World; haproxy: ScriptedHaproxy; disk: Disk }> {
  const w = await commitWorld(t, scriptedHaproxy, BODY, {}, disk.fs);
  return { w, haproxy: w.haproxy as ScriptedHaproxy, disk };
}

const weight = (to: number) => textEdit((text) => text.replace(/weight \d+/, `weight ${to}`));
const reloading = (seconds: number) =>
  textEdit((text) => text.replace(/timeout connect .*/, `timeout connect ${seconds}s`));
const refusing = (name: string) => (change: { readonly server: string }) =>
  change.server === name ? new DomainError("HAPROXY_REFUSED", `not ${name}`) : undefined;

/** The next write of the store fails, once. */
function failOnce(store: Store): void {
  const write = store.write;
  store.write = async () => {
    store.write = write;
    throw new DomainError("STORE_UNAVAILABLE", "disk I/O error");
  };
}

test("a new worker that refuses to catch up costs one more reload, and nothing waits for itself", async (t) => {
  const { w, haproxy } = await scripted(t);
  haproxy.beforeReload = async () => {
    haproxy.beforeReload = async () => undefined;
    await w.commit.target.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test");
    haproxy.refuse = refusing("c");
    return undefined;
  };
  await w.commit.change({ edit: reloading(2) });
  await w.commit.change({ edit: weight(7) });
  await eventually(() => assert.ok(haproxy.servers().includes("web/c 127.0.0.1:18003 1 ready")));
  assert.equal(w.reloads(), 2);
});

test("what failed on a full disk is told to HAProxy when it is tried again", async (t) => {
  const { w, haproxy, disk } = await scripted(t);
  disk.full = true;
  await assert.rejects(w.commit.change({ edit: weight(9) }), {
    reason: "STORE_UNAVAILABLE",
    message: `${w.path} cannot be written: ENOSPC`,
  });
  disk.full = false;
  assert.equal((await w.commit.change({ edit: weight(9) })).via, "runtime");
  assert.ok(haproxy.servers().includes("web/b 127.0.0.1:18002 9 ready"));
});

test("taking a change back takes nothing of others with it, and says so to watchers", async (t) => {
  const { w, haproxy } = await scripted(t);
  haproxy.refuse = refusing("b");
  haproxy.beforeReload = async () => {
    await w.commit.target.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test");
    haproxy.beforeReload = async () => undefined;
    return { kind: "refused", messages: [], log: "not now", tookMs: 1 };
  };
  await assert.rejects(w.commit.change({ edit: weight(9) }));
  await eventually(async () => assert.match(await w.text(), /server b .*weight 5\n {4}server c /));
  assert.ok(w.commit.target.servers("web")?.some(({ name }) => name === "c"));
  await eventually(async () => {
    const events = (await durableEvents(w.store, EventKind.SERVER)).filter(({ resource }) =>
      resource.endsWith("/b"),
    );
    assert.deepEqual(
      events.map(({ payload }) => payload.case === "server" && payload.value.weight),
      [9, 5],
    );
  });
});

test("a change that was taken back refuses nobody's base_revision, while it is under way or after", async (t) => {
  const { w, haproxy } = await scripted(t);
  const base = w.commit.revision;
  haproxy.refuse = refusing("b");
  const asked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  haproxy.beforeReload = async () => {
    asked.resolve();
    await release.promise;
    haproxy.beforeReload = async () => undefined;
    return { kind: "refused", messages: [], log: "not now", tookMs: 1 };
  };
  const refused = assert.rejects(w.commit.change({ edit: weight(9) }));
  await asked.promise;
  const undone = w.commit.revision;
  assert.ok(undone > base, "it is recorded before HAProxy is told");
  const meanwhile = w.commit.change({ edit: reloading(2), baseRevision: base });
  release.resolve();
  await refused;
  haproxy.refuse = () => undefined;
  await meanwhile;
  assert.match(await w.text(), /timeout connect 2s/);
  const mismatch = { reason: "ETAG_MISMATCH" };
  await assert.rejects(w.commit.change({ edit: reloading(3), baseRevision: base }), mismatch);
  await assert.rejects(w.commit.change({ edit: reloading(3), baseRevision: undone }), mismatch);
  await w.commit.change({ edit: reloading(3), baseRevision: w.commit.revision });
});

for (const kind of ["master_lost", "timed_out"] as const)
  for (const when of ["before it is taken back", "long after"] as const)
    test(`truthful: HAProxy that somebody starts in the middle of a reload (${kind}), and that is seen ${when}, runs what the file says in the end`, async (t) => {
      const { w, haproxy } = await scripted(t);
      haproxy.beforeReload = async () => {
        haproxy.beforeReload = async () => undefined;
        if (when === "long after") await haproxy.startUnseen();
        else await haproxy.restart();
        return { kind, messages: [], log: "somebody ended it", tookMs: 1 };
      };
      await assert.rejects(
        w.commit.target.createBackends([{ name: "new", servers: [server("s", 18004, 1)] }], "sources/test"),
      );
      assert.equal(await w.text(), BODY);
      haproxy.beSeen();
      await eventually(() => assert.ok(!haproxy.servers().some((line) => line.startsWith("new/"))));
      assert.equal(await w.text(), BODY);
    });

test("a file that cannot be put back after a refused reload is put back as soon as it can", async (t) => {
  const { w, haproxy, disk } = await scripted(t);
  haproxy.beforeReload = async () => {
    disk.full = true;
    return { kind: "refused", messages: [], log: "not now", tookMs: 1 };
  };
  await assert.rejects(w.commit.change({ edit: reloading(2) }));
  assert.match(await w.text(), /timeout connect 2s/);
  disk.full = false;
  await eventually(async () => assert.match(await w.text(), /timeout connect 1s/));
  await eventually(async () => assert.deepEqual(await w.store.pendingIntents(), []));
});

test("an edit of a group that does not fit any more fails alone", async (t) => {
  const { w, haproxy } = await scripted(t);
  haproxy.beforeCheck = async () => {
    haproxy.beforeCheck = async () => {};
    const revision = w.commit.revision;
    await w.commit.target.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test");
    await eventually(() => assert.ok(w.commit.revision > revision));
  };
  const guarded = textEdit((text) => {
    if (text.includes("server c")) throw new DomainError("ETAG_MISMATCH", "there is a server c by now");
    return text.replace("timeout client  5s", "timeout client  6s");
  });
  const [free, late] = await Promise.allSettled([
    w.commit.change({ edit: reloading(2) }),
    w.commit.change({ edit: guarded }),
  ]);
  assert.deepEqual([free.status, late.status], ["fulfilled", "rejected"]);
  assert.match(await w.text(), /timeout connect 2s\n {4}timeout client {2}5s/);
});

test("a configuration file that is gone is said, and nothing spins", async (t) => {
  const { w } = await scripted(t);
  await nodeFs.unlink(w.path);
  await assert.rejects(w.commit.change({ edit: reloading(2) }), { reason: "FILE_HELD" });
  assert.ok((await durableEvents(w.store, EventKind.RELOAD)).length < 10);
  await nodeFs.writeFile(w.path, BODY);
  await eventually(() => assert.equal(w.commit.status.held, undefined));
  await w.commit.change({ edit: reloading(2) });
});

test("an HAProxy that starts from a file that lags is told the rest", async (t) => {
  const { w, haproxy, disk } = await scripted(t);
  disk.full = true;
  await w.commit.target.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test");
  await haproxy.restart();
  await eventually(() => assert.ok(haproxy.servers().includes("web/c 127.0.0.1:18003 1 ready")));
  disk.full = false;
  await eventually(async () => assert.match(await w.text(), /server c/));
});

test("HAProxy runs it, so it is a success, and a history that failed once is caught up", async (t) => {
  const { w, haproxy } = await scripted(t);
  haproxy.beforeReload = async () => {
    failOnce(w.store);
    return undefined;
  };
  await w.commit.change({ edit: reloading(2) });
  haproxy.beforeReload = async () => undefined;
  await eventually(async () => assert.deepEqual(await w.store.pendingIntents(), []));
  await w.commit.change({ edit: reloading(3) });
  await haproxy.stop({ haproxy: "leave" });
  const again = await w.restart();
  assert.match(await again.text(), /timeout connect 3s/);
});

test("what somebody wrote after a crash is not taken for what was under way", async (t) => {
  const { w } = await scripted(t);
  const announced = { path: w.path, edit: { offset: 0, length: 0, bytes: Buffer.from("x") } };
  const data = encodeIntent({ onRefusal: "put-back", next: [announced], along: [] });
  await w.store.write([
    {
      kind: "begin-intent",
      intent: { id: "left-open", time: 0, base: w.store.newestRevision, former: [], data },
    },
  ]);
  const mine = `${BODY}# hours of work\nbackend mine\n    no-such-keyword\n`;
  const restarted = w.restart();
  await nodeFs.writeFile(w.path, mine);
  const again = await restarted;
  assert.equal(await again.text(), mine);
  await eventually(() => assert.equal(again.commit.status.held?.reason, "FILE_HELD"));
  assert.deepEqual(await again.store.pendingIntents(), []);
});

test("what killed HAProxy before haplane ended is taken back at the next start, though HAProxy's check accepts it", async (t) => {
  const { w, haproxy } = await scripted(t);
  const before = await w.text();
  const announced = { path: w.path, edit: { offset: 0, length: 0, bytes: Buffer.from("# deadly\n") } };
  const data = encodeIntent({ onRefusal: "put-back", next: [announced], along: [] });
  const base = w.store.newestRevision;
  const intent = { id: "left-open", time: 0, base, former: [], data };
  await w.store.write([{ kind: "begin-intent", intent }]);
  const { start } = haproxy;
  const restarted = w.restart();
  await nodeFs.writeFile(w.path, `# deadly\n${before}`);
  let isDead = true;
  Object.defineProperty(haproxy, "state", {
    get: () =>
      isDead
        ? { kind: "down", since: new Date(0), reason: "it died", retryAt: new Date(0) }
        : { kind: "stopped", since: new Date(0) },
  });
  haproxy.start = async () => {};
  haproxy.beforeReload = async () => ({ kind: "master_lost", messages: [], log: "", tookMs: 1 });
  const again = await restarted;
  isDead = false;
  haproxy.start = start;
  assert.equal(await again.text(), before);
  assert.deepEqual(await again.store.pendingIntents(), []);
});
