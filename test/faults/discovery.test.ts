import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { starterConfiguration } from "../../src/embedded/starter.ts";
import { startConsul, type TestConsul } from "../support/consul.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { type HttpFault, type HttpProxy, startHttpProxy } from "../support/http-proxy.ts";
import { freePort } from "../support/ports.ts";
import { serversInTraffic } from "../support/servers-in-traffic.ts";
import { type App, startApp, startTraffic, type Traffic } from "../support/traffic.ts";
import { waitFor } from "../support/wait.ts";

/** How long after healing everything has to be as Consul says. */
const HEALING_MS = 5_000;
/** How long a fault lasts: several retries. */
const FAULT_MS = 700;

const status = (code: number): HttpFault => ({
  instead: (_request, response) => void response.writeHead(code).end("no"),
});
const body = (text: string): HttpFault => ({
  instead: (_request, response) =>
    void response.writeHead(200, { "content-type": "application/json", "x-consul-index": "7" }).end(text),
});

const FAULTS: Readonly<Record<string, HttpFault>> = {
  "answers 500": status(500),
  "answers 400": status(400),
  "answers 429": status(429),
  "answers garbage": body("<html>"),
  "answers nothing in JSON": body("null"),
  "answers that there are no services and no instances, with an older index": {
    instead: ({ url = "" }, response) =>
      void response
        .writeHead(200, { "content-type": "application/json", "x-consul-index": "3" })
        .end(url.includes("/catalog/") ? "{}" : "[]"),
  },
  "breaks off in the middle of its answers": {
    instead(_request, response) {
      response.writeHead(200, { "content-type": "application/json", "content-length": "100" }).write("[{");
      setImmediate(() => response.destroy());
    },
  },
  "never answers": { instead: () => {} },
  "answers late": { delayMs: 300 },
  "answers with an index that goes back": {
    headers(headers) {
      headers["x-consul-index"] = "2";
    },
  },
  "has no leader": {
    headers(headers) {
      headers["x-consul-knownleader"] = "false";
    },
  },
};

describe("discovery, while everything around it fails", () => {
  let consul: TestConsul;
  let proxy: HttpProxy;
  let haplane: TestHaplane;
  let traffic: Traffic;
  const apps = new Map<string, App>();
  let round = 0;

  async function addApp(): Promise<string> {
    const name = `app-${round++}`;
    const app = await startApp(name);
    apps.set(name, app);
    await consul.register({ id: name, service: "web", port: app.port });
    return name;
  }

  const untilServed = (name: string) =>
    waitFor(`a request to be served by ${name}`, () => (traffic.served.get(name) ?? 0) > 0, {
      timeoutMs: HEALING_MS,
    });

  const servers = () => serversInTraffic(haplane, `consul-backend-127.0.0.1-${proxy.port}-web`);

  /** What was registered before is served throughout; what came meanwhile, and one that comes afterwards, are served soon after the healing. */
  async function through(fault: () => Promise<() => Promise<void> | void>): Promise<void> {
    const live = await servers();
    const heal = await fault();
    const meanwhile = await addApp();
    await new Promise((resolve) => setTimeout(resolve, FAULT_MS));
    const during = await servers().catch(() => live);
    for (const name of live) assert.ok(during.includes(name), `${name} is live, beside ${during}`);
    await heal();
    await untilServed(meanwhile);
    await untilServed(await addApp());
    assert.deepEqual(traffic.failures, []);
  }

  before(async () => {
    consul = await startConsul();
    proxy = await startHttpProxy(consul.port);
    const http = { host: "127.0.0.1", port: await freePort() };
    haplane = await startHaplane((statsSocket) =>
      starterConfiguration({
        ...{ statsSocket, http, stateFile: join(dirname(statsSocket), "servers.state") },
        consul: { host: "127.0.0.1", port: proxy.port },
      }),
    );
    await haplane.call("haplane.v1.ServiceDiscovery/CreateSource", {
      sourceId: "local",
      source: { consul: { address: "127.0.0.1", port: proxy.port }, retryTimeout: "0.2s" },
    });
    const first = [await addApp(), await addApp(), await addApp()];
    await waitFor("the servers", async () => (await servers()).length === first.length);
    traffic = startTraffic({
      ...{ url: `http://127.0.0.1:${http.port}/web/`, keeping: 0, opening: 2 },
      isExpected: (name) => apps.has(name),
    });
    for (const name of first) await untilServed(name);
  });

  after(async () => {
    await traffic?.stop();
    await haplane?.stop();
    await proxy?.stop();
    await consul?.stop();
    for (const app of apps.values()) await app.stop();
  });

  for (const [name, fault] of Object.entries(FAULTS)) {
    test(`Consul ${name}`, () =>
      through(async () => {
        proxy.misbehave(fault);
        return () => proxy.misbehave(undefined);
      }));
  }

  test("Consul is paused", () =>
    through(async () => {
      // What is registered meanwhile waits for it too.
      consul.pause();
      setTimeout(() => consul.resume(), FAULT_MS);
      return () => {};
    }));

  test("HAProxy is reloaded by hand in the middle", async () => {
    const { pid } = await haplane.worker();
    const parent = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    await through(async () => {
      process.kill(Number(parent), "SIGUSR2");
      return () => {};
    });
  });

  test("haplane is killed, and instances come and go while it is away", async () => {
    const gone = [...apps.keys()][0] as string;
    let came = "";
    await haplane.crash(async () => {
      came = await addApp();
      await consul.deregister(gone);
    });
    await untilServed(came);
    await waitFor(`${gone} to leave`, async () => !(await servers()).includes(`test-${gone}`), {
      timeoutMs: HEALING_MS,
    });
    await untilServed(await addApp());
    assert.deepEqual(traffic.failures, []);
  });

  test("HAProxy is killed, which loses what runs, and everything is there again", async () => {
    const live = await servers();
    const { pid } = await haplane.worker();
    process.kill(pid, "SIGKILL");
    await waitFor(
      "the same servers",
      async () => {
        const now = await servers().catch(() => [] as string[]);
        return live.every((name) => now.includes(name));
      },
      { timeoutMs: HEALING_MS * 2 },
    );
    await untilServed(await addApp());
  });
});

describe("an ACL token", () => {
  let consul: TestConsul;
  let haplane: TestHaplane;
  const token = {
    AccessorID: "11111111-2222-3333-4444-555555555501",
    SecretID: "11111111-2222-3333-4444-555555555502",
  };
  const all = { ...token, Policies: [{ Name: "global-management" }] };

  const servers = async () =>
    (await haplane.ask(`show servers state consul-backend-127.0.0.1-${consul.port}-web`).catch(() => ""))
      .split("\n")
      .slice(2)
      .filter((line) => line !== "");
  async function acl(method: string, path: string, body?: object): Promise<void> {
    const answer = await fetch(`http://127.0.0.1:${consul.port}/v1/acl/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.text()}`);
  }
  const untilState = (state: string, reason: RegExp) =>
    waitFor(
      `the source to be ${state}`,
      async () => {
        const { source } = await haplane.call<{ source: { status: { state: string; reason?: string } } }>(
          "haplane.v1.ServiceDiscovery/GetSource",
          { name: "sources/local" },
        );
        return source.status.state === `SOURCE_STATE_${state}` && reason.test(source.status.reason ?? "");
      },
      { timeoutMs: HEALING_MS },
    );

  before(async () => {
    const own = "11111111-2222-3333-4444-555555555500";
    consul = await startConsul(undefined, [
      // Requests of the test carry no token; those have all rights.
      `acl { enabled = true default_policy = "deny" tokens { master = "${own}" agent = "${own}" default = "${own}" } }`,
    ]);
    await waitFor("the ACLs to be there", () =>
      acl("PUT", "token", all).then(
        () => true,
        () => false,
      ),
    );
    const port = await freePort();
    haplane = await startHaplane((statsSocket) =>
      starterConfiguration({
        ...{ statsSocket, stateFile: join(dirname(statsSocket), "servers.state") },
        http: { host: "127.0.0.1", port },
        consul: { host: "127.0.0.1", port: consul.port },
      }),
    );
    await haplane.call("haplane.v1.ServiceDiscovery/CreateSource", {
      sourceId: "local",
      source: {
        consul: { address: "127.0.0.1", port: consul.port, token: token.SecretID },
        ...{ retryTimeout: "0.2s", acceptLossAfter: "1s" },
      },
    });
    for (const id of ["a", "b"]) await consul.register({ id, service: "web", port: 80 });
    await waitFor("the servers", async () => (await servers()).length === 2);
    await untilState("SYNCED", /^/);
  });
  after(async () => {
    await haplane?.stop();
    await consul?.stop();
  });

  test("that is revoked takes nothing away, is told, and goes on when it is restored", async () => {
    await acl("DELETE", `token/${token.AccessorID}`);
    await consul.register({ id: "c", service: "web", port: 81 });
    await untilState("RETRYING", /403/);
    assert.equal((await servers()).length, 2);
    await acl("PUT", "token", all);
    await waitFor("the third server", async () => (await servers()).length === 3, { timeoutMs: HEALING_MS });
    await untilState("SYNCED", /^/);
  });

  test("that may see nothing any more, which Consul calls no error, takes nothing away either", async () => {
    await acl("PUT", `token/${token.AccessorID}`, { ...token, Policies: [] });
    await consul.register({ id: "d", service: "web", port: 82 });
    await untilState("STALE", /its own service/);
    // Longer than losses are held.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    assert.equal((await servers()).length, 3);
    await acl("PUT", `token/${token.AccessorID}`, all);
    await untilState("SYNCED", /^/);
    await consul.deregister("a");
    await waitFor(
      "what Consul lists",
      async () => (await servers()).map((line) => line.split(" ")[3]).join() === "test-b,test-c,test-d",
      {
        timeoutMs: HEALING_MS,
      },
    );
    await untilState("SYNCED", /^/);
  });
});
