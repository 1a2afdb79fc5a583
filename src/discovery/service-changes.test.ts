import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  DeleteSourceRequestSchema,
  DiscoveredServerState,
  DiscoveredServiceState,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import { type Discovery, startDiscovery } from "../../test/support/discovery.ts";
import { instance } from "../../test/support/scripted-registry.ts";
import { type ServiceChange, watchServices } from "./service-changes.ts";

const instances = (ids: string) => (ids === "" ? [] : ids.split(" ").map((id) => instance(id)));

function list({ registry }: Discovery, services: Readonly<Record<string, string>>): void {
  registry.list(Object.fromEntries(Object.entries(services).map(([name, ids]) => [name, instances(ids)])));
}

/** A discovery that is watched; each look is a list of what it told. */
async function watched(from?: Discovery) {
  const discovery = from ?? (await startDiscovery());
  const looks: (readonly ServiceChange[])[] = [];
  const watch = watchServices(discovery, (changes) => looks.push(changes));
  const told = () =>
    looks
      .splice(0)
      .flat()
      .map(({ type, service: { service, state, servers } }) =>
        [
          `${type} ${service} ${DiscoveredServiceState[state]}`,
          ...servers.map(({ id, state }) => `${id} ${DiscoveredServerState[state]}`),
        ].join(", "),
      );
  return { discovery, looks, told, watch };
}

describe("changes of services", () => {
  test("are told when a service is found, changes, is ignored and is gone, and not when nothing has changed", async () => {
    const { discovery, told } = await watched();
    await discovery.createSource();
    list(discovery, { web: "a" });
    await discovery.pass(1_100);
    assert.deepEqual(told(), ["added web FOLLOWED, a LIVE"]);

    list(discovery, { web: "a" });
    await discovery.pass(3_000);
    assert.deepEqual(told(), []);

    const sick = { kind: "unhealthy", node: "n", id: "b", reason: "its check is critical" } as const;
    discovery.registry.report({
      ...{ kind: "instances", service: "web", leftOut: [sick], index: 900n },
      instances: instances("a"),
    });
    await discovery.pass(1_100);
    assert.deepEqual(told(), ["updated web FOLLOWED, a LIVE, b UNHEALTHY"]);

    const ignored = new Map([["db", "it is denied"]]);
    discovery.registry.report({ kind: "services", services: new Set(["web"]), ignored, index: 901n });
    await discovery.pass(1_100);
    assert.deepEqual(told(), ["added db IGNORED"]);

    await discovery.sources.delete(create(DeleteSourceRequestSchema, { name: "sources/s" }));
    await discovery.pass(1_100);
    assert.deepEqual(told().sort(), ["removed db IGNORED", "removed web FOLLOWED"]);
  });

  test("of a thousand services that flap for a second are told in one look, once each", async () => {
    const { discovery, looks } = await watched();
    await discovery.createSource();
    const all = (ids: string) =>
      Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`service-${n}`, ids]));
    list(discovery, all("a"));
    for (const ids of ["a b", "a", "a b", "a c"]) {
      await discovery.pass(100);
      list(discovery, all(ids));
    }
    await discovery.pass(1_100);
    assert.ok(looks.length <= 2, `${looks.length} looks`);
    assert.ok(looks.flat().length <= 2_000, `${looks.flat().length} changes`);
    const last = looks.flat().findLast(({ service }) => service.service === "service-7");
    assert.deepEqual(
      last?.service.servers.filter(({ state }) => state === DiscoveredServerState.LIVE).map(({ id }) => id),
      ["a", "c"],
    );
  });

  test("cost as much as there are services that may have changed, not as there are services", async () => {
    const discovery = await startDiscovery();
    let described = 0;
    const sources = {
      ...discovery.sources,
      serviceViews: (name: string) =>
        discovery.sources.serviceViews(name).map((view) => ({
          ...view,
          describe() {
            described += 1;
            return view.describe();
          },
        })),
    };
    const { told } = await watched({ ...discovery, sources });
    await discovery.createSource();
    const all = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`service-${n}`, "a b"]));
    list(discovery, all);
    await discovery.pass(3_000);
    assert.equal(told().length, 1_000);
    described = 0;
    discovery.registry.report({
      ...{ kind: "instances", service: "service-7", leftOut: [], index: 900n },
      instances: instances("a b c"),
    });
    await discovery.pass(1_100);
    assert.deepEqual(told(), ["updated service-7 FOLLOWED, a LIVE, b LIVE, c LIVE"]);
    assert.ok(described <= 2, `${described} services were described`);

    // One that leaves, or that another hand has changed, is seen too.
    discovery.registry.report({
      ...{ kind: "instances", service: "service-8", leftOut: [], index: 901n },
      instances: instances("b"),
    });
    await discovery.pass(1_100);
    assert.match(told().join(), /updated service-8 FOLLOWED, b LIVE/);
  });

  test("after a restart tell of what is known at its beginning as changed, not as found, and nothing after the end", async () => {
    const { discovery } = await watched();
    await discovery.createSource();
    list(discovery, { web: "a" });
    await discovery.pass(1_100);
    const again = await watched(await discovery.restart());
    assert.deepEqual(
      again.watch.begin().map(({ service }) => service),
      ["web"],
    );
    list(again.discovery, { web: "a" });
    await again.discovery.pass(1_100);
    assert.deepEqual(again.told(), ["updated web FOLLOWED, a LIVE"]);
    list(again.discovery, { web: "a b" });
    await again.discovery.settle();
    again.watch.close();
    await again.discovery.pass(2_000);
    assert.deepEqual(again.told(), []);
  });
});
