import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  DiscoveredServerState,
  ListServicesRequestSchema,
  SlotGrowth,
  SlotsSchema,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import { backendOf, type Discovery, startDiscovery } from "../../test/support/discovery.ts";
import { instance } from "../../test/support/scripted-registry.ts";
import type { Endpoint } from "./endpoint.ts";
import { reconcile } from "./reconcile.ts";
import { isFreeSlot, newSlots, type SlotPolicy } from "./slots.ts";
import type { NewServer, TargetServer } from "./target.ts";

const WEB = backendOf("web");

describe("slots of a backend to which HAProxy adds no servers", () => {
  async function start(growth = SlotGrowth.LINEAR): Promise<Discovery> {
    const discovery = await startDiscovery();
    discovery.target.takes = false;
    await discovery.createSource({ slots: create(SlotsSchema, { base: 2, increment: 3, growth }) });
    return discovery;
  }
  const list = async (discovery: Discovery, ports: readonly number[]) => {
    discovery.registry.list({ web: ports.map((port) => instance(`i${port}`, port)) });
    await discovery.pass(100);
  };
  const used = ({ target }: Discovery) =>
    (target.servers(WEB) ?? []).filter((server) => !isFreeSlot(server)).map(({ port }) => port);
  const reloads = ({ target }: Discovery) =>
    target.sent.filter(({ kind }) => kind === "create" || kind === "growth").length;

  test("are made with the backend, filled and freed without a reload, and grow by one", async () => {
    const discovery = await start();
    await list(discovery, [1]);
    assert.deepEqual(discovery.target.names(WEB), ["slot::1", "slot::2"]);
    assert.deepEqual(used(discovery), [1]);
    await list(discovery, [2, 1]);
    assert.deepEqual(used(discovery), [1, 2]);
    await list(discovery, [2]);
    assert.deepEqual(used(discovery), [2]);
    assert.equal(reloads(discovery), 1);
    await list(discovery, [2, 3, 4]);
    assert.deepEqual(used(discovery).sort(), [2, 3, 4]);
    assert.equal(discovery.target.names(WEB).length, 5);
    assert.equal(reloads(discovery), 2);
    await list(discovery, [5, 6, 7, 8, 9]);
    assert.deepEqual(used(discovery).sort(), [5, 6, 7, 8, 9]);
    assert.equal(
      discovery.target.names(WEB).length,
      8,
      "the former ones are freed when the new ones are there",
    );
    await discovery.sources.stop();
  });

  test("hold what is kept, and what they held before a restart", async () => {
    const discovery = await start();
    await list(discovery, [1, 2]);
    await list(discovery, []);
    assert.deepEqual(used(discovery), [1, 2], "the loss of all is held");
    const again = await discovery.restart();
    await again.settle();
    await list(again, [2, 1]);
    assert.deepEqual(used(again), [1, 2]);
    assert.equal(again.target.sent.filter(({ kind }) => kind === "growth").length, 0);
    assert.match(again.state(), /SYNCED/);
    await again.sources.stop();
  });

  test("show as the servers of their instances", async () => {
    const discovery = await start();
    await list(discovery, [1]);
    const { parent } = create(ListServicesRequestSchema, { parent: "sources/s" });
    const [service] = discovery.sources.services(parent);
    assert.deepEqual(
      service?.servers.map(({ id, server, state }) => [id, server, state]),
      [["i1", "slot::1", DiscoveredServerState.LIVE]],
    );
    assert.equal(discovery.sources.get("sources/s").status?.servers, 1);
    await discovery.sources.stop();
  });
});

test("slots grow as their policy says", () => {
  const sizes = (policy: Partial<SlotPolicy>, needed: number) =>
    newSlots(
      Array.from({ length: needed }, (_, i) => at(i + 1)),
      ...([0, { base: 4, increment: 3, always: false, ...policy }, 1, []] as const),
    ).length;
  assert.deepEqual(
    [0, 4, 5, 7, 8].map((needed) => sizes({}, needed)),
    [4, 4, 7, 7, 10],
  );
  assert.deepEqual(
    [0, 4, 5, 8, 9].map((needed) => sizes({ increment: "double" }, needed)),
    [4, 4, 8, 8, 16],
  );
});

test("whatever is desired, slots come to it in two steps, and nothing is left to do then", () => {
  const endpoints = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 10 });
  fc.assert(
    fc.property(
      endpoints,
      endpoints,
      fc.constantFrom<SlotPolicy["increment"]>(1, 4, "double"),
      (first, then, increment) => {
        const policy: SlotPolicy = { base: 2, increment, always: true };
        let present: TargetServer[] = [];
        for (const ports of [first, then]) {
          const desired = {
            servers: new Map(ports.map((port, index) => [`n-${index}`, at(port, 1 + (index % 3))])),
            keep: new Set<string>(),
          };
          for (let steps = 0; steps < 2; steps++) {
            const plan = reconcile(desired, present, new Map(), () => policy);
            assert.deepEqual(plan.removals, []);
            present = applied(present, plan);
          }
          const live = present.filter((server) => !isFreeSlot(server));
          assert.deepEqual(live.map(({ port }) => port).sort(), [...ports].sort());
          assert.deepEqual(
            reconcile(desired, present, new Map(), () => policy),
            { changes: [], removals: [] },
          );
        }
      },
    ),
  );
});

function at(port: number, weight = 1): Endpoint {
  return { address: "10.0.0.1", port, weight };
}

function applied(
  present: readonly TargetServer[],
  { changes, growth = [] }: ReturnType<typeof reconcile>,
): TargetServer[] {
  const servers = new Map(present.map((server) => [server.name, server]));
  for (const change of changes) {
    const { kind, ...set } = change;
    const before = servers.get(change.name);
    assert.ok(before !== undefined && kind !== "add");
    servers.set(change.name, {
      ...before,
      ...set,
      ...((kind === "fill" || kind === "free") && { disabled: kind === "free" }),
    });
  }
  return [...servers.values(), ...growth.map((server: NewServer) => server)];
}
