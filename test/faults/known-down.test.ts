import assert from "node:assert/strict";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { startHaplane } from "../support/haplane.ts";
import { freePort } from "../support/ports.ts";
import { waitFor } from "../support/wait.ts";

test("a server that is known to be down stays out of traffic over a reload, though it answers by now", async (t) => {
  const port = await freePort();
  const haplane = await startHaplane(
    (statsSocket) => `global
  stats socket ${statsSocket} mode 600 level admin expose-fd listeners
  server-state-file "${join(dirname(statsSocket), "servers")}"
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
  load-server-state-from-file global
backend web
  server a 127.0.0.1:${port} check inter 100ms fall 1 rise 10000
`,
  );
  t.after(() => haplane.stop());
  const status = async () => {
    const rows = (await haplane.ask("show stat web 4 -1")).trim().split("\n");
    const column = rows[0]!.split(",").indexOf("status");
    return rows[1]!.split(",")[column];
  };
  await waitFor("the server to be down", async () => (await status())?.startsWith("DOWN") === true);
  // A worker that began anew would take it for up, and find it so.
  const application = createServer((connection) => connection.end()).listen(port, "127.0.0.1");
  t.after(() => application.close());
  const before = await haplane.worker();
  await haplane.call("haplane.v1.Configuration/Update", {
    resource: { name: "backends/web", backend: { name: "web", timeoutQueue: "7s" } },
    updateMask: "timeoutQueue",
  });
  const after = await haplane.worker();
  assert.equal(after.reloads, before.reloads + 1);
  assert.match((await status()) ?? "", /^DOWN/);
});
