import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { starterConfiguration } from "../../src/embedded/starter.ts";
import { startConsul, type TestConsul } from "../support/consul.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { freePort } from "../support/ports.ts";
import { type App, startApp, startTraffic, type Traffic } from "../support/traffic.ts";
import { waitFor } from "../support/wait.ts";

const ROUNDS = 50;

/** A source as its JSON form has it. */
interface SourceJson {
  readonly source: {
    readonly status: { readonly state: string; readonly reason?: string; readonly servers?: number };
  };
}

/** A server of a backend, in words that the file and the runtime share. */
type ServerLine = `${string} ${string}:${string} weight ${string} id ${string}`;

describe("from Consul to traffic, through the real HAProxy", () => {
  let consul: TestConsul;
  let haplane: TestHaplane;
  let backend: string;
  let url: string;
  let traffic: Traffic;
  const apps = new Map<string, App>();

  async function addApp(name: string): Promise<void> {
    const app = await startApp(name);
    apps.set(name, app);
    await consul.register({ id: name, service: "web", port: app.port });
  }

  /** In the order of a careful operator: deregister, let HAProxy forget it, end the process. */
  async function removeApp(name: string): Promise<void> {
    await consul.deregister(name);
    await waitFor(`${name} to leave HAProxy`, async () => !(await runtimeNames()).includes(`test-${name}`));
    await apps.get(name)?.stop();
    apps.delete(name);
  }

  const untilServed = (name: string) =>
    waitFor(`a request to be served by ${name}`, () => (traffic.served.get(name) ?? 0) > 0);

  async function untilState(state: string, reason = /^/): Promise<void> {
    await waitFor(
      `the source to be ${state}`,
      async () => {
        const { status } = (await getSource()).source;
        return status.state === `SOURCE_STATE_${state}` && reason.test(status.reason ?? "");
      },
      { timeoutMs: 20_000 },
    );
  }

  const getSource = () =>
    haplane.call<SourceJson>("haplane.v1.ServiceDiscovery/GetSource", { name: "sources/local" });

  async function runtimeStates(): Promise<string[][]> {
    const answer = await haplane.ask(`show servers state ${backend}`);
    return answer
      .split("\n")
      .slice(2)
      .map((line) => line.split(" "));
  }

  async function runtimeNames(): Promise<string[]> {
    return (await runtimeStates()).map((columns) => columns[3] as string);
  }

  /** Of the running HAProxy: only what is up and in no maintenance of any kind. */
  async function runtimeServers(): Promise<ServerLine[]> {
    return (await runtimeStates())
      .map((columns): ServerLine => {
        const [, , id, name, address, , state, weight] = columns as [string, ...string[]];
        assert.equal(state, "0", `${name} is in no maintenance and drains nothing`);
        return `${name} ${address}:${columns[18]} weight ${weight} id ${id}`;
      })
      .sort();
  }

  function fileServers(): ServerLine[] {
    const section =
      readFileSync(haplane.config, "utf8").split(`backend ${backend}\n`)[1]?.split(/^\S/m)[0] ?? "";
    return section
      .split("\n")
      .filter((line) => line.trim().startsWith("server "))
      .map((line): ServerLine => {
        const [, name, address, ...words] = line.trim().split(/\s+/);
        const value = (word: string) => (words.includes(word) ? words[words.indexOf(word) + 1] : "1");
        return `${name} ${address as `${string}:${string}`} weight ${value("weight")} id ${value("id")}`;
      })
      .sort();
  }

  before(async () => {
    consul = await startConsul();
    const http = { host: "127.0.0.1", port: await freePort() };
    backend = `consul-backend-127.0.0.1-${consul.port}-web`;
    url = `http://127.0.0.1:${http.port}/web/`;
    haplane = await startHaplane((statsSocket) =>
      starterConfiguration({
        statsSocket,
        stateFile: join(dirname(statsSocket), "servers.state"),
        http,
        consul: { host: "127.0.0.1", port: consul.port },
      }),
    );
    await haplane.call("haplane.v1.ServiceDiscovery/CreateSource", {
      sourceId: "local",
      source: { consul: { address: "127.0.0.1", port: consul.port }, retryTimeout: "0.2s" },
    });
  });

  after(async () => {
    await traffic?.stop();
    await haplane?.stop();
    await consul?.stop();
    for (const app of apps.values()) await app.stop();
  });

  test("hitless: 50 instances come and go one by one under traffic: no request fails, nothing is reloaded after the first time, file and runtime agree", async (t) => {
    for (const name of ["a", "b", "c"]) await addApp(name);
    await waitFor("the service's servers", async () => (await runtimeServers()).length === 3);
    await untilState("SYNCED");
    const first = await haplane.worker();
    traffic = startTraffic({
      url,
      keeping: 3,
      opening: 1,
      isExpected: (name) => /^([abc]|app-\d+)$/.test(name),
    });
    for (const name of ["a", "b", "c"]) await untilServed(name);

    const names = Array.from({ length: ROUNDS }, (_, i) => `app-${i}`);
    for (const name of names) {
      await addApp(name);
      await untilServed(name);
    }
    for (const name of names) await removeApp(name);

    await waitFor("the file to be as the runtime", async () => {
      assert.deepEqual(fileServers(), await runtimeServers());
      return true;
    });
    assert.deepEqual(await runtimeNames().then((found) => found.sort()), ["test-a", "test-b", "test-c"]);
    assert.deepEqual(traffic.failures, []);
    assert.deepEqual(await haplane.worker(), first, "the same worker, and as many reloads");
    t.diagnostic(`${traffic.total} requests, none failed`);
  });

  test("steady: while Consul is away, and when it comes back empty, no live server is lost; it heals by itself", async () => {
    const before = await runtimeServers();
    await consul.stop();
    await untilState("RETRYING");
    consul = await startConsul(consul.port);
    await untilState("STALE", /3 servers stay/);
    assert.deepEqual(await runtimeServers(), before);
    assert.deepEqual(fileServers(), before);

    await consul.register({ id: "a", service: "web", port: apps.get("a")?.port ?? 0 });
    await consul.register({ id: "b", service: "web", port: apps.get("b")?.port ?? 0 });
    await addApp("app-99");
    await untilServed("app-99");
    await untilState("STALE", /1 servers stay/);
    await consul.register({ id: "c", service: "web", port: apps.get("c")?.port ?? 0 });
    await untilState("SYNCED");
    await removeApp("app-99");
    assert.deepEqual(await runtimeServers(), before);
    await traffic.stop();
    assert.deepEqual(traffic.failures, []);
  });

  test("a source that is deleted watches no more, and its servers stay", async () => {
    const before = await runtimeServers();
    await haplane.call("haplane.v1.ServiceDiscovery/DeleteSource", { name: "sources/local" });
    await consul.deregister("a");
    await assert.rejects(getSource(), /404|not_found/);
    assert.deepEqual(await runtimeServers(), before);
  });

  test("a pass answers with what HAProxy runs, and losses are believed when somebody says so", async () => {
    const create = { sourceId: "local", source: { consul: { address: "127.0.0.1", port: consul.port } } };
    await haplane.call("haplane.v1.ServiceDiscovery/CreateSource", create);
    const sync = (acceptLoss: boolean) =>
      haplane.call<SourceJson>("haplane.v1.ServiceDiscovery/SyncSource", {
        name: "sources/local",
        acceptLoss,
      });
    assert.equal((await sync(false)).source.status.state, "SOURCE_STATE_SYNCED");
    for (const name of ["b", "c"]) await consul.deregister(name);
    await untilState("STALE", /lost at once/);
    await waitFor("the last server to be told as kept", async () => {
      const { services } = await haplane.call<{
        services: { servers: { server: string; state: string }[] }[];
      }>("haplane.v1.ServiceDiscovery/ListServices", { parent: "sources/local" });
      const told = services.flatMap(({ servers = [] }) =>
        servers.map(({ server, state }) => `${server} ${state}`),
      );
      // Both, where one answer told of both; else the last one.
      return (
        told.includes("test-c DISCOVERED_SERVER_STATE_KEPT") && told.every((line) => line.endsWith("_KEPT"))
      );
    });
    const after = await sync(true);
    assert.equal(after.source.status.state, "SOURCE_STATE_SYNCED");
    await waitFor("nothing to be left", async () => (await runtimeNames()).length === 0);
  });

  test("prune takes the backends away with the source", async () => {
    await consul.register({ id: "x", service: "other", port: 1 });
    const other = backend.replace(/web$/, "other");
    await waitFor("the other backend", async () => (await haplane.ask("show backend")).includes(other));
    await waitFor("it to be in the file", () =>
      readFileSync(haplane.config, "utf8").includes(`backend ${other}`),
    );
    const { keptBackends = [] } = await haplane.call<{ keptBackends?: { backend: string }[] }>(
      "haplane.v1.ServiceDiscovery/DeleteSource",
      { name: "sources/local", prune: true },
    );
    assert.deepEqual(keptBackends, []);
    assert.doesNotMatch(readFileSync(haplane.config, "utf8"), /^backend consul-backend/m);
    assert.doesNotMatch(await haplane.ask("show backend"), /consul-backend/);
  });
});
