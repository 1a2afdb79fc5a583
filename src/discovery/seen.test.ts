import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  CreateSourceRequestSchema,
  DeleteSourceRequestSchema,
  DiscoveredServerState,
  DiscoveredServiceState,
  SourceState,
  SyncSourceRequestSchema,
  UpdateSourceRequestSchema,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import { backendOf, type Discovery, startDiscovery } from "../../test/support/discovery.ts";
import { instance } from "../../test/support/scripted-registry.ts";

const WEB = backendOf("web");

function list(discovery: Discovery, services: Readonly<Record<string, string>>): void {
  discovery.registry.list(
    Object.fromEntries(Object.entries(services).map(([name, ids]) => [name, instances(ids)])),
  );
}

function instances(ids: string) {
  return ids.split(" ").flatMap((id) => (id === "" ? [] : [instance(id)]));
}

describe("seen", () => {
  test("a query that fails does not hide that losses are not believed", async () => {
    const discovery = await startDiscovery();
    await discovery.createSource();
    list(discovery, { web: "a b", app: "c", db: "d" });
    await discovery.pass(50);
    discovery.registry.doubt("the index went back from 9 to 1");
    list(discovery, {});
    discovery.registry.fail("web");
    assert.match(discovery.state(), /^STALE: the index went back/);
    assert.match(discovery.sources.get("sources/s").status?.unbelieved ?? "", /4 servers stay/);
  });

  test("a service that waits for its reload is not in step", async () => {
    const discovery = await startDiscovery();
    await discovery.createSource();
    list(discovery, { web: "a" });
    await discovery.pass(50);
    assert.equal(discovery.state(), "SYNCED");
    discovery.target.holdCreations = true;
    list(discovery, { web: "a", app: "b" });
    await discovery.pass(50);
    assert.match(discovery.state(), /^SYNCING: .*-app is being made/);
    discovery.target.release();
    await discovery.settle();
    assert.equal(discovery.state(), "SYNCED");
  });

  test("services are told with what they should have, what they have, and why not", async () => {
    const discovery = await startDiscovery();
    await discovery.createSource();
    const { registry, target } = discovery;
    list(discovery, { web: "a b c d", app: "x" });
    await discovery.pass(50);
    target.holdBack = (changes) => changes.some(({ kind }) => kind === "remove");
    const services = new Set(["web", "app"]);
    registry.report({ kind: "services", services, ignored: new Map([["db", "it is denied"]]), index: 900n });
    const sick = { kind: "unhealthy", node: "n", id: "d", reason: "its check is critical" } as const;
    registry.report({
      ...{ kind: "instances", service: "web", leftOut: [sick], index: 901n },
      instances: instances("a b c"),
    });
    registry.instances("app", []);
    await discovery.settle();
    const found = discovery.sources
      .services("sources/s")
      .map(({ service, state, servers }) => [
        service,
        DiscoveredServiceState[state],
        ...servers.map(({ server, id, state }) => `${server}/${id} ${DiscoveredServerState[state]}`),
      ]);
    assert.deepEqual(found, [
      ["app", "FOLLOWED", "n-x/ KEPT"],
      ["db", "IGNORED"],
      [...["web", "FOLLOWED", "n-a/a LIVE", "n-b/b LIVE", "n-c/c LIVE", "n-d/ LEAVING"], "/d UNHEALTHY"],
    ]);
  });

  test("counting the servers of a source does not read backends that nothing happened to", async () => {
    const discovery = await startDiscovery();
    await discovery.createSource();
    list(discovery, { web: "a b", app: "c" });
    await discovery.pass(50);
    assert.equal(discovery.sources.get("sources/s").status?.servers, 3);
    const read = discovery.target.servers.bind(discovery.target);
    let reads = 0;
    discovery.target.servers = (backend) => {
      reads++;
      return read(backend);
    };
    assert.equal(discovery.sources.get("sources/s").status?.servers, 3);
    assert.equal(reads, 0);
    discovery.registry.instances("web", instances("a b e"));
    await discovery.settle();
    assert.equal(discovery.sources.get("sources/s").status?.servers, 4);
  });
});

describe("sync", () => {
  const sync = ({ sources }: Discovery, acceptLoss = false) =>
    sources.sync(create(SyncSourceRequestSchema, { name: "sources/s", acceptLoss }));

  test("answers when every query has been answered once more, and what follows is done", async () => {
    const discovery = await startDiscovery();
    await discovery.createSource();
    list(discovery, { web: "a", app: "b" });
    await discovery.pass(50);
    let isDone = false;
    const synced = sync(discovery).then((source) => {
      isDone = true;
      return source;
    });
    assert.equal(discovery.registry.refreshes, 1);
    discovery.registry.list({ web: instances("a c"), app: instances("b"), db: instances("d") });
    await discovery.settle();
    assert.equal(isDone, false, "the new backend is not there yet");
    await discovery.pass(50);
    assert.equal((await synced).status?.servers, 4);
  });

  test("answers when the registry cannot be asked, and when a service cannot", async () => {
    const discovery = await startDiscovery();
    await discovery.createSource();
    list(discovery, { web: "a", app: "b" });
    await discovery.pass(50);
    const down = sync(discovery);
    discovery.registry.fail(undefined);
    assert.equal((await down).status?.state, SourceState.RETRYING);
    const half = sync(discovery);
    list(discovery, { web: "a", app: "b" });
    await half;
    const single = sync(discovery);
    discovery.registry.report({
      ...{ kind: "services", ignored: new Map(), index: 990n },
      services: new Set(["web", "app"]),
    });
    discovery.registry.instances("web", instances("a"));
    discovery.registry.fail("app");
    assert.equal((await single).status?.state, SourceState.RETRYING);
  });

  test("with accept_loss ends a doubt, and only for what was answered", async () => {
    const discovery = await startDiscovery();
    await discovery.createSource();
    list(discovery, { web: "a b", app: "c", db: "d" });
    await discovery.pass(50);
    discovery.registry.doubt("the index went back from 9 to 1");
    list(discovery, { web: "", app: "", db: "d" });
    await discovery.settle();
    assert.deepEqual(discovery.target.names(WEB), ["n-a", "n-b"]);
    const accepted = sync(discovery, true);
    discovery.registry.report({
      ...{ kind: "services", ignored: new Map(), index: 990n },
      services: new Set(["web", "app", "db"]),
    });
    discovery.registry.instances("web", []);
    discovery.registry.instances("db", instances("d"));
    discovery.registry.fail("app");
    await accepted;
    assert.deepEqual(discovery.target.names(WEB), []);
    assert.deepEqual(discovery.target.names(backendOf("app")), ["n-c"]);
  });

  test("of a disabled source is refused, and one that is stopped meanwhile is answered", async () => {
    const discovery = await startDiscovery();
    await discovery.createSource();
    const pending = sync(discovery);
    await discovery.sources.update(
      create(UpdateSourceRequestSchema, { source: { name: "sources/s", enabled: false } }),
    );
    assert.equal((await pending).status?.state, SourceState.DISABLED);
    await assert.rejects(sync(discovery), { reason: "SOURCE_DISABLED" });
  });

  test("of a source that is deleted meanwhile says that it is not there, also when there is another of its name by then", async () => {
    const discovery = await startDiscovery();
    const request = create(DeleteSourceRequestSchema, { name: "sources/s" });
    for (const isMadeAgain of [false, true]) {
      await discovery.createSource();
      const pending = assert.rejects(sync(discovery), { reason: "RESOURCE_NOT_FOUND" });
      const deletion = discovery.sources.delete(request);
      if (isMadeAgain) await discovery.createSource();
      await deletion;
      await pending;
    }
  });
});

test("a service that is gone is told for as long as its emptied backend is there, with what refers to it, also after a restart", async () => {
  let discovery = await startDiscovery();
  await discovery.createSource();
  list(discovery, { web: "a", app: "b" });
  await discovery.pass(50);
  list(discovery, { app: "b" });
  await discovery.pass(31_000);
  const told = () =>
    discovery.sources
      .services("sources/s")
      .map(({ service, backend, state, reason }) => [service, backend, state, reason]);
  const app = ["app", backendOf("app"), DiscoveredServiceState.FOLLOWED, ""];
  const gone = (reason: string) => ["web", WEB, DiscoveredServiceState.GONE, reason];
  assert.deepEqual(discovery.target.names(WEB), []);
  assert.deepEqual(told(), [app, gone("emptied")]);
  discovery.target.refersTo = (backend) => (backend === WEB ? "frontends/http" : undefined);
  assert.deepEqual(told(), [app, gone("emptied; frontends/http refers to it")]);

  discovery = await discovery.restart();
  list(discovery, { app: "b" });
  await discovery.pass(50);
  assert.deepEqual(told(), [app, gone("emptied; frontends/http refers to it")]);

  list(discovery, { app: "b", web: "a" });
  await discovery.pass(50);
  assert.deepEqual(told(), [app, ["web", WEB, DiscoveredServiceState.FOLLOWED, ""]]);
  list(discovery, { app: "b" });
  await discovery.pass(31_000);
  discovery.target.backends.delete(WEB);
  assert.deepEqual(told(), [app]);
});

test("prune removes what the source made, except what is named or shared: that is emptied and told", async () => {
  const discovery = await startDiscovery();
  await discovery.createSource();
  const { target, sources } = discovery;
  list(discovery, { web: "a", app: "b", db: "c", old: "d e" });
  await discovery.pass(50);
  list(discovery, { web: "a", app: "b", db: "c" });
  await discovery.pass(31_000);
  const db = backendOf("db");
  const byHand = { name: "hand", address: "10.9.9.9", port: 1, weight: 1, id: 0 };
  target.editByHand(db, [...(target.servers(db) ?? []), byHand]);
  target.refersTo = (backend) => (backend === WEB ? "frontends/http" : undefined);
  const kept = await sources.delete(create(DeleteSourceRequestSchema, { name: "sources/s", prune: true }));
  await discovery.settle();
  assert.deepEqual(kept.map(({ backend }) => backend).sort(), [db, WEB]);
  assert.deepEqual([...target.backends.keys()].sort(), [db, WEB]);
  assert.deepEqual([target.names(db), target.names(WEB)], [["hand"], []]);
});

test("prune leaves a backend alone that a service of another source has by now", async () => {
  const discovery = await startDiscovery();
  const { registry, target, sources } = discovery;
  await discovery.createSource({ backendName: "x-{service}" });
  list(discovery, { web: "" });
  await discovery.pass(50);
  // Its service is gone: the source needs the name no longer.
  list(discovery, {});
  await discovery.pass(50);
  await sources.update(create(UpdateSourceRequestSchema, { source: { name: "sources/s", enabled: false } }));
  await sources.create(
    create(CreateSourceRequestSchema, {
      sourceId: "other",
      source: { backendName: "x-{service}", registry: { case: "consul", value: { address: "127.0.0.2" } } },
    }),
  );
  registry.list({ web: [instance("a"), instance("b")] });
  await discovery.pass(50);
  const kept = await sources.delete(create(DeleteSourceRequestSchema, { name: "sources/s", prune: true }));
  await discovery.settle();
  assert.deepEqual(kept, [{ backend: "x-web", reason: "a service of another source has it" }]);
  assert.deepEqual(target.names("x-web"), ["n-a", "n-b"]);
});
