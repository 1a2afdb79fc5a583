import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { startConsul } from "../support/consul.ts";
import { startHaplane } from "../support/haplane.ts";
import { freePort } from "../support/ports.ts";
import { waitFor } from "../support/wait.ts";

const DRAIN_MS = 2_000;
/** Far more than the drain time, far less than the 10 min that hold where nobody says otherwise. */
const LIMIT_MS = 30_000;

/** An application that greets and then says nothing: its connections end when somebody ends them. */
async function startSilentApp(t: TestContext): Promise<number> {
  const app = createServer((socket) => void socket.on("error", () => {}).write("hello")).listen(
    0,
    "127.0.0.1",
  );
  await once(app, "listening");
  t.after(() => app.close());
  return (app.address() as AddressInfo).port;
}

test("a removal that the end of haplane interrupts goes on with the drain time of its source", async (t) => {
  const consul = await startConsul();
  t.after(() => consul.stop());
  const [port, first, second] = [await freePort(), await startSilentApp(t), await startSilentApp(t)];
  const haplane = await startHaplane(
    (statsSocket) => `global
    stats socket "${statsSocket}" mode 600 level admin expose-fd listeners
defaults
    mode tcp
    timeout connect 3s
    timeout client 10m
    timeout server 10m
frontend front
    bind 127.0.0.1:${port}
    use_backend %[str(web)]
`,
  );
  t.after(() => haplane.stop());
  await haplane.call("haplane.v1.ServiceDiscovery/CreateSource", {
    sourceId: "local",
    source: {
      consul: { address: "127.0.0.1", port: consul.port },
      ...{ backendName: "{service}", drainTime: `${DRAIN_MS / 1_000}s` },
    },
  });
  const servers = async () =>
    (await haplane.ask("show servers state web"))
      .split("\n")
      .slice(2)
      .flatMap((line) => line.split(" ")[3] ?? []);
  await consul.register({ id: "stays", service: "web", port: first });
  await consul.register({ id: "goes", service: "web", port: second });
  // A server is there before it takes connections, and before the file has it.
  await waitFor("both servers to take connections", async () => {
    const stat = (await haplane.ask("show stat web 4 -1")).trim().split("\n").slice(1);
    return stat.length === 2 && stat.every((row) => row.includes(",no check,"));
  });
  await waitFor("the file to have it", () => readFileSync(haplane.config, "utf8").includes("goes"));

  const clients = await Promise.all(
    [1, 2].map(async () => {
      const client = connect(port, "127.0.0.1").on("error", () => {});
      t.after(() => client.destroy());
      await once(client, "data");
      return client;
    }),
  );
  const closed = new Set<object>();
  for (const client of clients) client.once("close", () => closed.add(client));
  await consul.deregister("goes");
  // From now on it is only the worker that still has it.
  await waitFor("the file to have it no more", () => !readFileSync(haplane.config, "utf8").includes("goes"));
  // Before that is recorded, the next start takes it for an edit by hand, and reloads: an old worker would keep the connections.
  await waitFor("the history to have that", async () => {
    const { revisions } = await haplane.call<{ revisions: { message: string }[] }>(
      "haplane.v1.Configuration/ListRevisions",
      { pageSize: 1 },
    );
    return /removes .*goes/.test(revisions[0]?.message ?? "");
  });
  await haplane.crash();
  await waitFor("the server to be gone", async () => (await servers()).join() === "test-stays", {
    timeoutMs: LIMIT_MS,
  });
  await waitFor("its connection to be closed", () => closed.size === 1);
  assert.equal(closed.size, 1, "the connection of the other server stays");
});
