import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { startDns, type TestDns } from "../../../test/support/dns-server.ts";
import { observe } from "../../../test/support/observed-registry.ts";
import { waitFor } from "../../../test/support/wait.ts";
import { systemClock } from "../../lib/clock.ts";
import { createDnsRegistry } from "./registry.ts";
import type { DnsName } from "./settings.ts";

let dns: TestDns;

beforeEach(async () => {
  dns = await startDns();
});
afterEach(() => dns.stop());

function watch(names: readonly DnsName[], intervalMs = 20) {
  const retry = { firstMs: 20, maxMs: 60 };
  return observe(createDnsRegistry({ servers: [dns.address], names, intervalMs, retry }, systemClock));
}

const srv = (target: string, port: number, priority = 1, weight = 1) =>
  ({ type: "SRV", target, port, priority, weight }) as const;
const a = (address: string) => ({ type: "A", address }) as const;
const web = { service: "web", name: "_web._tcp.test", records: "SRV", port: 0 } as const;

test("of SRV records the first priority is taken, with all addresses of a target, and weights keep their shares", async () => {
  dns.set("one.test", [a("10.0.0.1")]);
  dns.set("two.test", [a("10.0.0.3"), a("10.0.0.2")]);
  dns.set(web.name, [
    ...[srv("one.test", 80, 1, 1_000), srv("two.test", 81, 1, 500), srv("one.test", 82, 2)],
    ...[srv("none.test", 83), srv("one.test", 0)],
  ]);
  const watched = watch([web]);
  const { instances, leftOut } = await watched.until("instances");
  assert.deepEqual(
    instances.map(({ node, id, address, port, weight }) => `${node} ${id} ${address}:${port} ${weight}`),
    [
      "web one.test:80 10.0.0.1:80 256",
      "web two.test:81-10.0.0.2 10.0.0.2:81 128",
      "web two.test:81-10.0.0.3 10.0.0.3:81 128",
    ],
  );
  assert.deepEqual(leftOut.map(({ kind, id }) => `${kind} ${id}`).sort(), [
    "ignored one.test:82",
    "unusable none.test:83",
    "unusable one.test:0",
  ]);
  await watched.stop();
});

test("of addresses each is an instance at the port of the source", async () => {
  dns.set("db.test", [a("10.0.0.2"), a("10.0.0.1")]);
  const watched = watch([{ service: "db", name: "db.test", records: "A", port: 5432 }]);
  await watched.untilIds("db", ["10.0.0.1", "10.0.0.2"]);
  assert.deepEqual(
    watched.instances("db")?.map(({ address, port }) => `${address}:${port}`),
    ["10.0.0.1:5432", "10.0.0.2:5432"],
  );
  await watched.stop();
});

test("a refusal is no answer, and ends by itself", async () => {
  dns.set("db.test", [a("10.0.0.1")]);
  dns.set(web.name, [srv("db.test", 80)]);
  const watched = watch([web, { service: "db", name: "db.test", records: "A", port: 5432 }]);
  await watched.untilIds("web", ["db.test:80"]);
  const before = watched.events.length;
  dns.fail(5);
  const { service } = await watched.until("failure", before);
  assert.equal(service, undefined, "nothing can be asked for");
  dns.fail(undefined);
  await waitFor("it to go on", () => watched.events.slice(before).some(({ kind }) => kind === "services"));
  await watched.untilIds("web", ["db.test:80"]);
  await watched.stop();
});

test("names are asked for no more often than the interval says, unless somebody wants to know", async () => {
  dns.set("db.test", [a("10.0.0.1")]);
  const names = [{ service: "db", name: "db.test", records: "A", port: 5432 }] as const;
  const registry = createDnsRegistry(
    { servers: [dns.address], names, intervalMs: 3_600_000, retry: { firstMs: 20, maxMs: 60 } },
    systemClock,
  );
  const watched = observe(registry);
  await watched.untilIds("db", ["10.0.0.1"]);
  assert.equal(dns.queries, 1);
  dns.set("db.test", [a("10.0.0.2")]);
  registry.refresh();
  await watched.untilIds("db", ["10.0.0.2"]);
  assert.equal(dns.queries, 2);
  await watched.stop();
});
