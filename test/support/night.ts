import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { starterConfiguration } from "../../src/embedded/starter.ts";
import { startConsul, type TestConsul } from "./consul.ts";
import { startHaplane, type TestHaplane } from "./haplane.ts";
import { type HttpProxy, startHttpProxy } from "./http-proxy.ts";
import { freePort } from "./ports.ts";
import { serversInTraffic } from "./servers-in-traffic.ts";
import { mountSmallDisk, type SmallDisk } from "./small-disk.ts";
import { type App, startApp, startTraffic, type Traffic } from "./traffic.ts";
import { waitFor } from "./wait.ts";

/** How long after healing everything has to be as Consul says. */
const HEALING_MS = 5_000;
/** How often HAProxy is looked at. */
const LOOK_MS = 50;

/** The token of the test, with all rights, and that of the source. */
const OWN = "11111111-2222-3333-4444-555555555500";
const TOKEN = {
  AccessorID: "11111111-2222-3333-4444-555555555501",
  SecretID: "11111111-2222-3333-4444-555555555502",
};
const ACL = `acl { enabled = true default_policy = "deny" enable_token_persistence = true tokens { master = "${OWN}" agent = "${OWN}" default = "${OWN}" } }`;

/** What a token of the source may do: everything, nothing, or it is not there. */
export type Rights = "all" | "none" | "revoked";

/**
 * A service under traffic with all that can break around it: Consul, a proxy before it, haplane, HAProxy and the disk of both. Whatever a test breaks, three things are judged: that HAProxy comes to what Consul
 * says within 5 s of the healing, that no request is lost, and that no instance is out of traffic that was in it and that Consul calls healthy.
 */
export interface Night {
  readonly proxy: HttpProxy;
  readonly haplane: TestHaplane;
  /** Undefined without the right to mount one. */
  readonly disk: SmallDisk | undefined;
  readonly consul: TestConsul;
  /** The instances that Consul calls healthy. */
  readonly members: ReadonlySet<string>;
  /** Starts an instance and registers it. */
  join(): Promise<string>;
  /** Deregisters one, which goes on serving until the end. */
  leave(name: string): Promise<void>;
  /** Ends Consul as a kill does, and starts it again: with what it knew, or without. */
  killConsul(): Promise<void>;
  reviveConsul(data: "kept" | "lost"): Promise<void>;
  /** What a restarted fleet does when its Consul knows nothing any more. */
  registerAll(): Promise<void>;
  setRights(rights: Rights): Promise<void>;
  /** Waits until the members, and `more`, are in traffic and nobody else is, and a request was served by each that came last. */
  converged(more?: readonly string[]): Promise<void>;
  /** Waits for a state of the source. */
  untilState(state: string): Promise<void>;
  /** The judgements on requests and instances; `outage`: there was no HAProxy for a while, so that connections were refused or reset. */
  judge(outage?: boolean): void;
  stop(): Promise<void>;
}

/** Starts everything, with three instances in traffic. */
export async function startNight(): Promise<Night> {
  const apps = new Map<string, App>();
  const members = new Set<string>();
  /** Members that have been in traffic since they joined. */
  const settled = new Set<string>();
  const missed: string[] = [];
  const dataDir = mkdtempSync(join(tmpdir(), "haplane-consul-data-"));
  let consul = await startConsul(undefined, [ACL], dataDir);
  const proxy = await startHttpProxy(consul.port);
  const http = { host: "127.0.0.1", port: await freePort() };
  const disk = mountSmallDisk(48);
  const configure = (statsSocket: string) =>
    starterConfiguration({
      ...{ statsSocket, http, stateFile: join(dirname(statsSocket), "servers.state") },
      consul: { host: "127.0.0.1", port: proxy.port },
    });
  await setRights("all");
  const haplane = await startHaplane(configure, [], { ...(disk && { dir: disk.dir }) });
  await haplane.call("haplane.v1.ServiceDiscovery/CreateSource", {
    sourceId: "local",
    source: {
      consul: { address: "127.0.0.1", port: proxy.port, token: TOKEN.SecretID },
      ...{ retryTimeout: "0.2s", acceptLossAfter: "1s" },
    },
  });
  const servers = () => serversInTraffic(haplane, `consul-backend-127.0.0.1-${proxy.port}-web`);
  let traffic: Traffic | undefined;
  let count = 0;
  let isStopped = false;

  async function acl(method: string, path: string, body?: object): Promise<void> {
    const answer = await fetch(`http://127.0.0.1:${consul.port}/v1/acl/${path}`, {
      method,
      ...(body && { body: JSON.stringify(body) }),
    });
    assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.text()}`);
  }

  async function setRights(rights: Rights): Promise<void> {
    const token = { ...TOKEN, Policies: rights === "all" ? [{ Name: "global-management" }] : [] };
    if (rights === "revoked") await acl("DELETE", `token/${TOKEN.AccessorID}`);
    else
      await waitFor("the token to be taken", () =>
        acl("PUT", `token/${TOKEN.AccessorID}`, token)
          .catch(() => acl("PUT", "token", token))
          .then(() => true),
      );
  }

  const register = (name: string) =>
    consul.register({ id: name, service: "web", port: (apps.get(name) as App).port });

  async function enter(): Promise<string> {
    const name = `app-${count++}`;
    apps.set(name, await startApp(name));
    await register(name);
    members.add(name);
    return name;
  }

  async function converged(more: readonly string[] = []): Promise<void> {
    const wanted = [...members, ...more].map((name) => `test-${name}`).sort();
    await waitFor(`servers ${wanted}`, async () => (await servers()).join() === wanted.join(), {
      timeoutMs: HEALING_MS,
    });
    for (const name of members) settled.add(name);
    const last = [...members].at(-1) as string;
    await waitFor(`a request to be served by ${last}`, () => traffic?.served.has(last) ?? true, {
      timeoutMs: HEALING_MS,
    });
  }

  async function watch(): Promise<void> {
    while (!isStopped) {
      const before = [...settled];
      const now = await servers().catch(() => undefined);
      // A worker that has just been started knows the backend from its first answer on; none at all is HAProxy away.
      for (const name of now === undefined ? [] : before)
        if (settled.has(name) && !now?.includes(`test-${name}`)) missed.push(`${name}, beside ${now}`);
      await sleep(LOOK_MS);
    }
  }

  for (let i = 0; i < 3; i++) await enter();
  await waitFor("the first servers", async () => (await servers()).length === 3);
  traffic = startTraffic({
    ...{ url: `http://127.0.0.1:${http.port}/web/`, keeping: 1, opening: 2, pauseMs: 2 },
    isExpected: (name) => apps.has(name),
  });
  const { failures } = traffic;
  let judged = 0;
  const watching = watch();

  return {
    ...{ proxy, haplane, disk, members, setRights, converged },
    get consul() {
      return consul;
    },
    join: enter,
    async leave(name) {
      settled.delete(name);
      members.delete(name);
      await consul.deregister(name);
    },
    killConsul: () => consul.stop(),
    async reviveConsul(data) {
      if (data === "lost") rmSync(dataDir, { recursive: true, force: true });
      consul = await startConsul(consul.port, [ACL], dataDir);
      if (data === "lost") await setRights("all");
    },
    async registerAll() {
      for (const name of members) await register(name);
    },
    async untilState(state) {
      await waitFor(
        `the source to be ${state}`,
        async () => {
          const { source } = await haplane.call<{ source: { status: { state: string } } }>(
            "haplane.v1.ServiceDiscovery/GetSource",
            { name: "sources/local" },
          );
          return source.status.state === `SOURCE_STATE_${state}`;
        },
        { timeoutMs: HEALING_MS },
      );
    },
    judge(outage = false) {
      const all = failures.slice(judged);
      judged = failures.length;
      const lost = outage ? all.filter((failure) => !/ECONNREFUSED|ECONNRESET/.test(failure)) : all;
      assert.deepEqual(lost, [], "no request is lost");
      assert.deepEqual(missed, [], "nobody leaves traffic whom Consul calls healthy");
    },
    async stop() {
      isStopped = true;
      await watching;
      await traffic?.stop();
      await haplane.stop();
      disk?.remove();
      await proxy.stop();
      await consul.stop();
      rmSync(dataDir, { recursive: true, force: true });
      for (const app of apps.values()) await app.stop();
    },
  };
}
