import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { starterConfiguration } from "../../src/embedded/starter.ts";
import { startConsul, type TestConsul } from "../support/consul.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { freePort } from "../support/ports.ts";
import { serversInTraffic } from "../support/servers-in-traffic.ts";
import { type App, startApp, startTraffic, type Traffic } from "../support/traffic.ts";
import { waitFor } from "../support/wait.ts";

/** How long after the last change everything has to be as Consul says, with what is held back. */
const HEALING_MS = 5_000;
const MEMBERS = 6;
const CROWD = 100;
const FLAPS = 40;

describe("traffic, while the members of a service change all the time", () => {
  const apps = new Map<string, App>();
  let consul: TestConsul;
  let haplane: TestHaplane;
  let traffic: Traffic;

  async function start(name: string, status?: "passing"): Promise<void> {
    const app = await startApp(name);
    apps.set(name, app);
    await consul.register({ id: name, service: "web", port: app.port, ...(status && { status }) });
  }
  const untilServed = (name: string) =>
    waitFor(`a request to be served by ${name}`, () => (traffic.served.get(name) ?? 0) > 0, {
      timeoutMs: HEALING_MS,
    });
  const servers = () => serversInTraffic(haplane, `consul-backend-127.0.0.1-${consul.port}-web`);
  const untilServers = (names: Iterable<string>) => {
    const wanted = [...names].map((name) => `test-${name}`).sort();
    return waitFor(`servers ${wanted}`, async () => (await servers()).join() === wanted.join(), {
      timeoutMs: HEALING_MS,
    });
  };
  /** Out of traffic is not enough for an application to end: a request may still be on its way to it. */
  const untilGone = (name: string) =>
    waitFor(
      `${name} to have left HAProxy`,
      async () => !(await haplane.ask("show servers state")).includes(` test-${name} `),
      { timeoutMs: HEALING_MS },
    );
  /** A master that is being reloaded does not answer for a moment. */
  const reloads = async () =>
    (await waitFor("the master to answer", () => haplane.worker().catch(() => undefined))).reloads;

  before(async () => {
    consul = await startConsul();
    const http = { host: "127.0.0.1", port: await freePort() };
    haplane = await startHaplane((statsSocket) =>
      starterConfiguration({
        ...{ statsSocket, http, stateFile: join(dirname(statsSocket), "servers.state") },
        consul: { host: "127.0.0.1", port: consul.port },
      }),
    );
    await haplane.call("haplane.v1.ServiceDiscovery/CreateSource", {
      sourceId: "local",
      source: {
        consul: { address: "127.0.0.1", port: consul.port },
        // Most may go at once, which is held back at first.
        ...{ retryTimeout: "0.2s", acceptLossAfter: "1s" },
      },
    });
    for (let i = 0; i < MEMBERS; i++) await start(`old-${i}`);
    await untilServers(apps.keys());
    traffic = startTraffic({
      ...{ url: `http://127.0.0.1:${http.port}/web/`, keeping: 2, opening: 2 },
      isExpected: (name) => apps.has(name),
    });
    await untilServed("old-0");
  });
  after(async () => {
    await traffic?.stop();
    await haplane?.stop();
    await consul?.stop();
    for (const app of apps.values()) await app.stop();
  });

  test("a rolling deployment: each member is replaced, no request is lost, nothing is reloaded", async () => {
    const before = await reloads();
    for (let i = 0; i < MEMBERS; i++) {
      await start(`new-${i}`);
      await untilServed(`new-${i}`);
      await consul.deregister(`old-${i}`);
      await untilGone(`old-${i}`);
      await apps.get(`old-${i}`)?.stop();
      apps.delete(`old-${i}`);
    }
    await untilServers(apps.keys());
    assert.equal(await reloads(), before);
    assert.deepEqual(traffic.failures, []);
  });

  test("a deployment of all at once: those that come replace those that go, and the backend is never empty", async () => {
    const before = await reloads();
    const former = [...apps.keys()];
    for (let i = 0; i < MEMBERS; i++) await start(`next-${i}`);
    await Promise.all(former.map((name) => consul.deregister(name)));
    await untilServers([...apps.keys()].filter((name) => !former.includes(name)));
    for (const name of former) {
      await untilGone(name);
      await apps.get(name)?.stop();
      apps.delete(name);
    }
    assert.equal(await reloads(), before);
    assert.deepEqual(traffic.failures, []);
  });

  test("a member that flaps ends as Consul has it last, and disturbs nobody", async () => {
    await start("flap", "passing");
    await untilServed("flap");
    for (let i = 0; i < FLAPS; i++) {
      await consul.setStatus("flap", i % 2 === 0 ? "critical" : "passing");
      assert.notEqual((await servers()).length, 0);
    }
    await waitFor(
      "it to be there once",
      async () => (await servers()).filter((name) => /flap/.test(name)).length === 1,
      {
        timeoutMs: HEALING_MS,
      },
    );
    await consul.setStatus("flap", "critical");
    await waitFor("it to be gone", async () => !(await servers()).some((name) => /flap/.test(name)), {
      timeoutMs: HEALING_MS,
    });
    await consul.deregister("flap");
    await untilGone("flap");
    await apps.get("flap")?.stop();
    apps.delete("flap");
    assert.deepEqual(traffic.failures, []);
  });

  test("a hundred that join together are live, and leave together, without a request lost", async () => {
    const members = [...apps.keys()];
    const before = await reloads();
    const crowd = Array.from({ length: CROWD }, (_, i) => `crowd-${i}`);
    await Promise.all(crowd.map((name) => start(name)));
    await untilServers(apps.keys());
    await untilServed(crowd[0] as string);
    await Promise.all(crowd.map((name) => consul.deregister(name)));
    await untilServers(members);
    assert.equal(await reloads(), before);
    assert.deepEqual(traffic.failures, []);
  });
});
