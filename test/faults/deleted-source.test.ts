import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startConsul, type TestConsul } from "../support/consul.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { openFiles } from "../support/process-use.ts";
import { waitFor } from "../support/wait.ts";

/** How long after its beginning a source is deleted: before the first answer, while its backends wait to be joined, during their reload, and after it. */
const MOMENTS_MS = [0, 10, 25, 40, 60, 90, 130, 400];
/** Sources beside each other, and how often they come and go. */
const MANY = 50;
const ROUNDS = 2;

const configuration = (statsSocket: string) => `global
    stats socket "${statsSocket}" mode 600 level admin expose-fd listeners
defaults
    mode http
    timeout connect 3s
    timeout client 1m
    timeout server 1m
`;

describe("a source that is deleted", () => {
  let consul: TestConsul;
  let haplane: TestHaplane;

  before(async () => {
    // Consul goes on counting a connection that was closed until the query that waited on it is over.
    consul = await startConsul(undefined, ["limits { http_max_conns_per_client = 2000 }"]);
    haplane = await startHaplane(configuration);
    for (const id of ["a", "b"]) await consul.register({ id, service: id, port: 80 });
  });
  after(async () => {
    await haplane?.stop();
    await consul?.stop();
  });

  const call = <T>(method: string, message: object) =>
    haplane.call<T>(`haplane.v1.ServiceDiscovery/${method}`, message);
  const create = (id: string) =>
    call("CreateSource", {
      sourceId: id,
      source: {
        consul: { address: "127.0.0.1", port: consul.port },
        ...{ backendName: `${id}-{service}`, drainTime: "0s" },
      },
    });
  const backends = (id: string) =>
    [...readFileSync(haplane.config, "utf8").matchAll(/^backend (\S+)/gm)].filter(([, name]) =>
      name?.startsWith(`${id}-`),
    );
  /** Number of the newest reload. */
  const newestReload = async () => {
    const { reloads } = await haplane.call<{ reloads: { name: string }[] }>("haplane.v1.Runtime/ListReloads");
    return Number(reloads[0]?.name.slice("reloads/".length));
  };
  /** Long enough for what was under way to be done, if it is. */
  const REST_MS = 700;

  for (const [index, momentMs] of MOMENTS_MS.entries()) {
    test(`${momentMs} ms after its beginning with prune leaves no backend behind, and its pass ends`, async () => {
      const id = `pruned-${index}`;
      await create(id);
      const pass = call("SyncSource", { name: `sources/${id}` }).then(
        () => "answered",
        (error: Error) => error.message,
      );
      await sleep(momentMs);
      await call("DeleteSource", { name: `sources/${id}`, prune: true });
      assert.match(await pass, /answered|there is no such source/);
      await sleep(REST_MS);
      assert.deepEqual(backends(id), []);
    });

    test(`${momentMs} ms after its beginning without prune follows nothing more, and its pass ends`, async () => {
      const id = `left-${index}`;
      await create(id);
      const pass = call("SyncSource", { name: `sources/${id}` }).catch((error: Error) => error.message);
      await sleep(momentMs);
      await call("DeleteSource", { name: `sources/${id}` });
      await pass;
      await consul.register({ id: `late-${id}`, service: `late-${id}`, port: 80 });
      await sleep(REST_MS);
      // What HAProxy was being reloaded for already may still come; what was registered afterwards may not.
      assert.ok(!readFileSync(haplane.config, "utf8").includes(`${id}-late`));
      await consul.deregister(`late-${id}`);
    });
  }

  test("takes its connections with it: fifty come and go, again and again, and nothing is left of them", async () => {
    const sockets = () => openFiles(haplane.pid);
    const before = sockets();
    for (let round = 0; round < ROUNDS; round++) {
      const ids = Array.from({ length: MANY }, (_, i) => `many-${i}`);
      await Promise.all(ids.map(create));
      await waitFor("their backends", () => backends("many").length >= MANY * 2);
      const reloads = await newestReload();
      await Promise.all(ids.map((id) => call("DeleteSource", { name: `sources/${id}`, prune: true })));
      const needed = (await newestReload()) - reloads;
      assert.ok(needed <= MANY / 2, `those that wait share a reload: ${needed} for ${MANY} sources`);
      await waitFor("their backends to be gone", () => backends("many").length === 0);
    }
    await waitFor("their connections to be closed", () => sockets() <= before + 5);
  });
});
