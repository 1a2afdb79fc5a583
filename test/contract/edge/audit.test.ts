import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startHaplane, type TestHaplane } from "../../support/haplane.ts";
import { preamble } from "../../support/preamble.ts";
import { stacks } from "./clients.ts";
import { startEdge, type TestEdge, tokens } from "./harness.ts";

let haplane: TestHaplane;
let edge: TestEdge;
before(async () => {
  haplane = await startHaplane((statsSocket) => `${preamble(statsSocket)}backend site\n`);
  edge = await startEdge();
});
after(async () => {
  await edge.close();
  await haplane.stop();
});

type Line = Record<string, unknown>;

/** The records in the log, of one method of Configuration. */
function records(method: string): Line[] {
  return linesOf(`haplane.v1.Configuration/${method}`);
}

function linesOf(method: string): Line[] {
  return haplane
    .log()
    .split("\n")
    .filter((line) => line.includes('"part":"audit"'))
    .map((line) => {
      assert.equal(line.match(/"part":/g)?.length, 1, "each name stands in a line once");
      return JSON.parse(line) as Line;
    })
    .filter((line) => line.method === method);
}

test("a change leaves a record of who, from where, what, revision and outcome, without secrets", async () => {
  await haplane.call("haplane.v1.Configuration/Create", {
    resource: {
      name: "userlists/ops",
      userlist: { users: [{ name: "tom", insecurePassword: "hunter2" }] },
    },
  });
  const [record, ...others] = records("Create");
  assert.deepEqual(others, []);
  const { caller, role, peer, resources, outcome, revision, validateOnly, protocol, requestId } =
    record ?? {};
  assert.deepEqual(
    { caller, role, resources, outcome, validateOnly, protocol },
    {
      ...{ caller: "admin", role: "admin", outcome: "OK", protocol: "connect" },
      ...{ resources: ["userlists/ops"], validateOnly: false },
    },
  );
  assert.match(String(peer), /^unix:.*connect\.sock$/);
  assert.match(String(revision), /^\d+$/);
  assert.ok(requestId);
  assert.doesNotMatch(haplane.log(), /hunter2/);
});

test("what was only tried and what was refused have theirs, and what reads has none", async () => {
  await haplane.call("haplane.v1.Configuration/Delete", {
    name: "userlists/ops",
    options: { validateOnly: true },
  });
  await assert.rejects(haplane.call("haplane.v1.Configuration/Delete", { name: "backends/none" }));
  const [tried, refused] = records("Delete");
  assert.equal(tried?.validateOnly, true);
  assert.equal(tried?.outcome, "OK");
  assert.deepEqual(refused?.resources, ["backends/none"]);
  assert.equal(refused?.outcome, "NOT_FOUND");
  assert.equal(refused?.reason, "RESOURCE_NOT_FOUND");
  await haplane.call("haplane.v1.Configuration/GetVersion");
  assert.deepEqual(records("GetVersion"), []);
});

test("changes in a list are named too", async () => {
  await haplane.call("haplane.v1.Configuration/Apply", {
    changes: [
      { create: { resource: { name: "backends/one", backend: {} } } },
      { create: { resource: { name: "backends/two", backend: {} } } },
    ],
  });
  assert.deepEqual(records("Apply")[0]?.resources, ["backends/one", "backends/two"]);
});

test("what is made is named as the resource that it becomes, whoever refuses it", async () => {
  const lines = (method: string) => linesOf(`haplane.v1.${method}`).map(({ resources }) => resources);
  await haplane.call("haplane.v1.Storage/PutFile", {
    ...{ kind: "FILE_KIND_MAP", storageName: "hosts.map", data: Buffer.from("a b\n").toString("base64") },
  });
  await assert.rejects(
    haplane.call("haplane.v1.Storage/PutFile", { kind: "FILE_KIND_GENERAL", storageName: "a/b" }),
  );
  await assert.rejects(haplane.call("haplane.v1.Storage/PutFile", { storageName: "x".repeat(5_000) }));
  assert.deepEqual(lines("Storage/PutFile"), [["files/maps/hosts.map"], ["files/general/a/b"], []]);
  await assert.rejects(haplane.call("haplane.v1.ServiceDiscovery/CreateSource", { sourceId: "mesh" }));
  assert.deepEqual(lines("ServiceDiscovery/CreateSource"), [["sources/mesh"]]);
  await assert.rejects(haplane.call("haplane.v1.Configuration/Delete", { name: "x".repeat(5_000) }));
  assert.equal(String(lines("Configuration/Delete").at(-1)).length, 300, "a name is told up to a length");
});

for (const stack of stacks)
  test(`who may not is named, and who nobody knows is not (${stack.name})`, async () => {
    const before = edge.audited.length;
    const client = stack.open(edge.places[stack.place]);
    await assert.rejects(client.unary("Change", "x", { token: tokens.viewer }));
    await assert.rejects(client.unary("Change", "x", { token: "wrong" }));
    await client.unary("Change", "x", { token: tokens.operator });
    client.close();
    assert.deepEqual(
      edge.audited
        .slice(before)
        .map(({ caller, role, outcome, reason }) => ({ caller, role, outcome, reason })),
      [
        { caller: "vic", role: "viewer", outcome: "PERMISSION_DENIED", reason: "PERMISSION_DENIED" },
        { caller: "oli", role: "operator", outcome: "OK", reason: undefined },
      ],
    );
  });
