import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import type { ServerOutcome } from "../../src/haproxy/server-change.ts";
import { commitWorld, textEdit, type World } from "../support/commit-world.ts";
import { freePort } from "../support/ports.ts";
import { realHaproxy } from "../support/real-factory.ts";
import { scriptedHaproxy } from "../support/scripted-factory.ts";
import type { ScriptedHaproxy } from "../support/scripted-haproxy.ts";
import { eventually } from "../support/wait.ts";

const reloading = textEdit((text) => text.replace("connect 1s", "connect 2s"));

/** A commit over a real HAProxy whose servers `a` and `b` both have a connection that nobody ends. */
async function withConnections(t: TestContext): Promise<World> {
  const app = createServer((socket) => void socket.on("error", () => {}).write("hello")).listen(
    0,
    "127.0.0.1",
  );
  await once(app, "listening");
  const { port: appPort } = app.address() as AddressInfo;
  const port = await freePort();
  const w = await commitWorld(
    t,
    realHaproxy,
    `defaults
    mode tcp
    timeout connect 1s
    timeout client  60s
    timeout server  60s

frontend front
    bind 127.0.0.1:${port}
    default_backend web

backend web
    server a 127.0.0.1:${appPort} id 1
    server b 127.0.0.1:${appPort} id 2
`,
  );
  const clients = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
  t.after(() => {
    for (const client of clients) client.destroy();
    app.close();
  });
  for (const client of clients) {
    client.on("error", () => {});
    await once(client, "data");
  }
  return w;
}

test("a drain set by hand survives a reload while a server of the same list is still finishing its connections", async (t) => {
  const w = await withConnections(t);
  let removed = false;
  const list = w.commit.target
    .changeServers(
      "web",
      [
        { kind: "set-weight", name: "a", weight: 3 },
        { kind: "remove", name: "b" },
      ],
      "sources/test",
    )
    .finally(() => {
      removed = true;
    });
  await eventually(async () => assert.match((await w.servers()).join(), /a \S+ 3 ready,.*b \S+ 1 maint/));
  await w.drainByHand("web", "a");
  assert.equal(removed, false);
  await w.commit.change({ edit: reloading });
  assert.match((await w.servers()).join(), /^web\/a \S+ 3 drain$/);
  assert.deepEqual(await list, [{ ok: true }, { ok: true }]);
});

test("a drain set by hand survives a reload while a server of the same change is still finishing its connections", async (t) => {
  const w = await withConnections(t);
  const change = w.commit.change({
    edit: textEdit((text) => text.replace("id 1\n", "id 1 weight 3\n").replace(/ {4}server b .*\n/, "")),
  });
  await eventually(async () => assert.match((await w.servers()).join(), /a \S+ 3 ready,.*b \S+ 1 maint/));
  await w.drainByHand("web", "a");
  await w.commit.change({ edit: reloading });
  assert.match((await w.servers()).join(), /^web\/a \S+ 3 drain$/);
  await change;
});

test("a reload does not wait for a server that was removed meanwhile to finish its connections", async (t) => {
  const w = await commitWorld(t, scriptedHaproxy);
  const haproxy = w.haproxy as ScriptedHaproxy;
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  const { applyServers } = haproxy.runtime;
  Object.assign(haproxy.runtime, {
    applyServers: async (...args: Parameters<typeof applyServers>): Promise<readonly ServerOutcome[]> => {
      if (args[0].some(({ kind }) => kind === "delete")) await finished;
      return applyServers(...args);
    },
  });
  await w.drainByHand("web", "a");
  let removal: Promise<unknown> | undefined;
  haproxy.beforeReload = async () => {
    removal ??= w.commit.target.changeServers("web", [{ kind: "remove", name: "b" }], "sources/test");
    return undefined;
  };
  try {
    await w.commit.change({ edit: reloading });
    assert.match((await w.servers()).join(), /web\/a \S+ 1 drain/);
    await eventually(async () => assert.doesNotMatch(await w.text(), /server b/));
  } finally {
    finish();
  }
  await removal;
  await eventually(async () => assert.doesNotMatch((await w.servers()).join(), /web\/b/));
});

for (const [how, also] of [
  ["by commands", (text: string) => text],
  ["by a reload", (text: string) => text.replace("connect 1s", "connect 2s")],
] as const)
  test(`truthful: a server that is there again ${how} before its connections have ended serves, and stays`, async (t) => {
    const w = await withConnections(t);
    const before = await w.text();
    const line = / {4}server b .*\n/;
    const removal = w.commit.change({ edit: textEdit((text) => text.replace(line, "")) });
    await eventually(async () => assert.match((await w.servers()).join(), /b \S+ 1 maint/));
    await w.commit.change({ edit: textEdit(() => also(before)) });
    assert.match((await w.servers()).join(), /web\/b \S+ 1 ready/);
    await removal;
    assert.match((await w.servers()).join(), /web\/b \S+ 1 ready/);
    assert.equal(await w.text(), also(before));
  });
