import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  CreateSourceRequestSchema,
  DeleteSourceRequestSchema,
  UpdateSourceRequestSchema,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import { type Discovery, startDiscovery } from "../../test/support/discovery.ts";
import { instance } from "../../test/support/scripted-registry.ts";

const OLD = [instance("a"), instance("b"), instance("c")];
const NEW = [instance("x")];

/** Two sources that call their backends the same: `sources/a` and `sources/b`. */
function createSource({ sources }: Discovery, sourceId: "a" | "b") {
  const registry = {
    case: "consul",
    value: { address: "127.0.0.1", port: sourceId === "a" ? 1 : 2 },
  } as const;
  return sources.create(
    create(CreateSourceRequestSchema, { sourceId, source: { backendName: "{service}", registry } }),
  );
}

function setEnabled({ sources }: Discovery, name: string, enabled: boolean) {
  return sources.update(create(UpdateSourceRequestSchema, { source: { name, enabled } }));
}

function deleteSource({ sources }: Discovery, name: string, prune: boolean) {
  return sources.delete(create(DeleteSourceRequestSchema, { name, prune }));
}

/** `sources/a` has made the backend `web` and is disabled since. */
async function startDisabled(): Promise<Discovery> {
  const discovery = await startDiscovery();
  await createSource(discovery, "a");
  discovery.registry.list({ web: OLD });
  await discovery.pass(50);
  await setEnabled(discovery, "sources/a", false);
  return discovery;
}

/** `sources/b` comes and finds a service of the same name. Its backend. */
async function findByOther(discovery: Discovery): Promise<string> {
  await createSource(discovery, "b");
  discovery.registry.list({ web: NEW });
  await discovery.pass(60_000);
  const other = [...discovery.target.backends.keys()].find((backend) => backend !== "web");
  assert.ok(other !== undefined, "the other source has a backend of its own");
  assert.deepEqual(discovery.target.names(other), ["n-x"]);
  return other;
}

const OLD_SERVERS = ["n-a", "n-b", "n-c"];

test("a disabled source's backends are not taken over by another that calls its own the same", async () => {
  const discovery = await startDisabled();
  await findByOther(discovery);
  assert.deepEqual(discovery.target.names("web"), OLD_SERVERS);
});

test("nor after a restart", async () => {
  const discovery = await (await startDisabled()).restart();
  await findByOther(discovery);
  assert.deepEqual(discovery.target.names("web"), OLD_SERVERS);
});

test("a source that is enabled again, also after a restart, goes on with its own backends", async () => {
  const before = await startDisabled();
  await findByOther(before);
  const discovery = await before.restart();
  const { registry, target } = discovery;
  await setEnabled(discovery, "sources/a", true);
  // Both hear it.
  registry.list({ web: [...OLD, instance("d")] });
  await discovery.pass(60_000);
  assert.deepEqual(target.names("web"), [...OLD_SERVERS, "n-d"]);
  assert.equal(target.backends.size, 2);
});

test("a disabled source's backends stay when the other is deleted with prune", async () => {
  const discovery = await startDisabled();
  const other = await findByOther(discovery);
  assert.deepEqual(await deleteSource(discovery, "sources/b", true), []);
  assert.equal(discovery.target.backends.has(other), false);
  assert.deepEqual(discovery.target.names("web"), OLD_SERVERS);
});

test("a disabled source that is deleted with prune takes its backends with it, also after a restart", async () => {
  const discovery = await (await startDisabled()).restart();
  assert.deepEqual(await deleteSource(discovery, "sources/a", true), []);
  assert.equal(discovery.target.backends.size, 0);
});

test("the backends of a disabled source that is deleted without prune are free for another", async () => {
  const discovery = await startDisabled();
  await deleteSource(discovery, "sources/a", false);
  await createSource(discovery, "b");
  discovery.registry.list({ web: [...OLD, instance("d")] });
  await discovery.pass(50);
  assert.deepEqual([...discovery.target.backends.keys()], ["web"]);
  assert.deepEqual(discovery.target.names("web"), [...OLD_SERVERS, "n-d"]);
});

test("the servers of a disabled source's backends follow no registry", async () => {
  const discovery = await startDiscovery();
  await createSource(discovery, "a");
  discovery.registry.list({ web: OLD });
  await discovery.pass(50);
  assert.equal(discovery.sources.owns("web"), true);
  await setEnabled(discovery, "sources/a", false);
  assert.equal(discovery.sources.owns("web"), false);
  assert.equal((await discovery.restart()).sources.owns("web"), false);
});

test("where two remember one backend, the source that is enabled keeps it, also when the other is deleted", async () => {
  const before = await startDisabled();
  const disabled = before.store.kept.get("sources/a");
  assert.ok(disabled !== undefined);
  await deleteSource(before, "sources/a", false);
  await createSource(before, "b");
  before.registry.list({ web: OLD });
  await before.pass(50);
  await before.sources.stop();
  const { target, registry, store, clock } = before;
  // As earlier versions left it.
  const enabled = [...store.kept.values()];
  store.kept.clear();
  for (const source of [disabled, ...enabled]) store.kept.set(source.name, source);
  const discovery = await startDiscovery({ target, registry, store, clock });
  registry.list({ web: [...OLD, instance("d")] });
  await discovery.pass(50);
  assert.deepEqual(target.names("web"), [...OLD_SERVERS, "n-d"]);
  const [keptBackend] = await deleteSource(discovery, "sources/a", true);
  assert.match(keptBackend?.reason ?? "", /another source/);
  assert.equal(discovery.sources.owns("web"), true);
});
