import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Event } from "../../gen/haplane/spoe/v1/message_pb.js";
import { type ConfigurationClient, configurationClient } from "../support/configuration-client.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { judgingHaproxys } from "../support/judging-haproxys.ts";
import { freePort } from "../support/ports.ts";
import { preamble } from "../support/preamble.ts";
import { type SpoeAgent, startSpoeAgent } from "../support/spoe-agent.ts";
import { type SpoeClient, spoeClient, spoeUpload } from "../support/spoe-client.ts";
import { type App, startApp } from "../support/traffic.ts";
import { eventually } from "../support/wait.ts";

let haplane: TestHaplane;
let agent: SpoeAgent;
let app: App;
let port: number;
let spoe: SpoeClient;
let configuration: ConfigurationClient;
const ends: (() => unknown)[] = [];

before(async () => {
  app = await startApp("app");
  // Whoever asks for the vault is told no.
  agent = await startSpoeAgent((messages) => {
    const path = messages.get("check")?.find(({ name }) => name === "path")?.value;
    return [{ name: "verdict", value: path === "/vault" ? "deny" : "allow" }];
  });
  port = await freePort();
  haplane = await startHaplane(
    (statsSocket) => `${preamble(statsSocket)}
frontend web
    bind 127.0.0.1:${port}
    default_backend app

backend app
    server one 127.0.0.1:${app.port}

backend agents
    mode tcp
    server one 127.0.0.1:${agent.port}
`,
  );
  const clients = [spoeClient(haplane, "grpc-js"), configurationClient(haplane, "grpc-js")] as const;
  spoe = clients[0].client;
  configuration = clients[1].client;
  ends.push(...clients.map(({ close }) => close));
});
after(async () => {
  for (const end of ends) end();
  await haplane.stop();
  await Promise.all([agent.stop(), app.stop()]);
});

test("a file built through the API drives an agent that sees a request and decides on it", async () => {
  const { file } = await spoe.uploadFile(spoeUpload({ storageName: "guard.conf" }, ""));
  assert.equal(file?.path, join(haplane.dir, "spoe", "guard.conf"));
  const scope = "spoe/guard.conf/scopes/guard";
  await spoe.create({ resource: { name: scope, kind: { case: "scope", value: {} } } });
  await spoe.create({
    resource: {
      name: `${scope}/messages/check`,
      kind: {
        case: "message",
        value: {
          args: [
            {
              arguments: [
                { name: "method", sample: "method" },
                { name: "path", sample: "path" },
                { name: "from", sample: "src" },
              ],
            },
          ],
          event: { name: Event.ON_FRONTEND_HTTP_REQUEST },
        },
      },
    },
  });
  await spoe.create({
    resource: {
      name: `${scope}/agents/guard`,
      kind: {
        case: "agent",
        value: {
          messages: [{ names: ["check"] }],
          optionVarPrefix: "guard",
          timeoutHello: "1s",
          timeoutIdle: "10s",
          timeoutProcessing: "2s",
          useBackend: "agents",
        },
      },
    },
  });
  await configuration.update({
    resource: {
      name: "frontends/web",
      kind: {
        case: "frontend",
        value: {
          filters: [{ kind: { case: "spoe", value: { engine: "guard", config: file.path } } }],
          httpRequestRules: [
            { action: { case: "deny", value: {} }, condition: "if { var(txn.guard.verdict) -m str deny }" },
          ],
        },
      },
    },
  });

  assert.deepEqual([await statusOf("/open"), await statusOf("/vault")], [200, 403]);
  const told = agent.notified.map((messages) =>
    Object.fromEntries((messages.get("check") ?? []).map(({ name, value }) => [name, value])),
  );
  assert.deepEqual(told, [
    { method: "GET", path: "/open", from: "127.0.0.1" },
    { method: "GET", path: "/vault", from: "127.0.0.1" },
  ]);

  for (const { name, binary } of judgingHaproxys.slice(1)) {
    // Unpacked beside the system's, they cannot start themselves anew as a reload makes them: each reads what was built.
    const other = await freePort();
    const text = readFileSync(haplane.config, "utf8").replace(/^ *stats socket.*\n/m, "");
    const config = join(haplane.dir, "other.cfg");
    writeFileSync(config, text.replace(`127.0.0.1:${port}`, `127.0.0.1:${other}`));
    const child = spawn(binary, ["-db", "-q", "-f", config], { stdio: "ignore" });
    try {
      const asked = agent.notified.length;
      await eventually(async () => assert.equal(await statusOf("/open", other), 200, name));
      assert.equal(await statusOf("/vault", other), 403, name);
      assert.ok(agent.notified.length >= asked + 2, `${name} asks the agent`);
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  }
  const before = agent.notified.length;

  // What the file says from now on holds without anything else being touched.
  await spoe.update({
    resource: {
      name: `${scope}/messages/check`,
      kind: {
        case: "message",
        value: { event: { name: Event.ON_FRONTEND_HTTP_REQUEST, condition: "unless { path /vault }" } },
      },
    },
  });
  assert.deepEqual([await statusOf("/vault"), agent.notified.length], [200, before]);
});

async function statusOf(path: string, at = port): Promise<number | undefined> {
  const [response] = (await once(get({ port: at, path, agent: false }), "response")) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}
