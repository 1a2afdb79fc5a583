import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Endpoint } from "./endpoint.ts";
import { instanceName } from "./names.ts";
import { type Desired, isManaged, type Plan, reconcile } from "./reconcile.ts";
import type { TargetServer } from "./target.ts";

const NONE: ReadonlyMap<string, number> = new Map();

function desired(servers: Readonly<Record<string, Endpoint>>, keep: readonly string[] = []): Desired {
  return { servers: new Map(Object.entries(servers)), keep: new Set(keep) };
}

function at(port: number, weight = 1): Endpoint {
  return { address: "10.0.0.1", port, weight };
}

function server(name: string, id: number, endpoint: Endpoint): TargetServer {
  return { name, id, ...endpoint };
}

/** What a backend looks like after a plan. */
function applied(present: readonly TargetServer[], { changes, removals }: Plan): TargetServer[] {
  let servers = present.filter(({ name }) => !removals.includes(name));
  for (const change of changes) {
    if (change.kind === "add") {
      const { kind: _, ...added } = change;
      servers = [...servers, added];
      continue;
    }
    const { kind: _, ...set } = change;
    servers = servers.map((other) => (other.name === change.name ? { ...other, ...set } : other));
  }
  return servers;
}

const cases: {
  name: string;
  desired: Desired;
  present: TargetServer[];
  leaving?: Map<string, number>;
  plan: Plan;
}[] = [
  {
    name: "nothing to do",
    desired: desired({ a: at(1) }),
    present: [server("a", 7, at(1))],
    plan: { changes: [], removals: [] },
  },
  {
    name: "a new server gets the id above all others",
    desired: desired({ a: at(1), b: at(2, 5) }),
    present: [server("a", 7, at(1))],
    plan: { changes: [{ kind: "add", name: "b", id: 8, ...at(2, 5) }], removals: [] },
  },
  {
    name: "the ids that HAProxy gives to servers without one are left alone",
    desired: desired({ a: at(1) }),
    present: [server("x", 0, at(8)), server("y", 0, at(9))],
    plan: { changes: [{ kind: "add", name: "a", id: 3, ...at(1) }], removals: [] },
  },
  {
    name: "address and weight are set apart",
    desired: desired({ a: at(2), b: at(2, 9) }),
    present: [server("a", 1, at(1)), server("b", 2, at(2))],
    plan: {
      changes: [
        { kind: "set-address", name: "a", address: "10.0.0.1", port: 2 },
        { kind: "set-weight", name: "b", weight: 9 },
      ],
      removals: [],
    },
  },
  {
    name: "what is not desired goes, unless it is kept or somebody else's",
    desired: desired({}, ["b"]),
    present: [server("a", 1, at(1)), server("b", 2, at(2)), server("c", 0, at(3))],
    plan: { changes: [], removals: ["a"] },
  },
  {
    name: "a name and an id that are still leaving are not given to another",
    desired: desired({ a: at(1) }),
    present: [],
    leaving: new Map([["a", 4]]),
    plan: { changes: [{ kind: "add", name: "a::2", id: 5, ...at(1) }], removals: [] },
  },
  {
    name: "a server that came back under a second name is the same server",
    desired: desired({ a: at(1) }),
    present: [server("a::2", 5, at(1))],
    plan: { changes: [], removals: [] },
  },
  {
    name: "of two servers of one instance the better one stays",
    desired: desired({ a: at(2) }),
    present: [server("a", 1, at(1)), server("a::2", 2, at(2))],
    plan: { changes: [], removals: ["a"] },
  },
  {
    name: "somebody else's server of the same name is walked around",
    desired: desired({ a: at(1) }),
    present: [server("a", 0, at(9))],
    plan: { changes: [{ kind: "add", name: "a::2", id: 2, ...at(1) }], removals: [] },
  },
];

for (const { name, desired, present, leaving = NONE, plan } of cases) {
  test(name, () => {
    assert.deepEqual(reconcile(desired, present, leaving), plan);
  });
}

const names = fc.constantFrom<string[]>("a", "b", "c", "d", "e");
const endpoints = fc.record(
  {
    address: fc.constantFrom("10.0.0.1", "10.0.0.2"),
    port: fc.integer({ min: 1, max: 3 }),
    weight: fc.integer({ min: 0, max: 2 }),
  },
  { noNullPrototype: true },
);
const desires = fc.record({
  servers: fc.dictionary(names, endpoints).map((servers) => new Map(Object.entries(servers))),
  keep: fc.uniqueArray(names).map((keep) => new Set(keep)),
});
const presents = fc
  .uniqueArray(fc.tuple(names, fc.constantFrom("", "::2"), fc.boolean(), endpoints), {
    selector: ([name, suffix]) => name + suffix,
  })
  .map((servers) =>
    servers.map(([name, suffix, isOurs, endpoint], i) =>
      server(name + suffix, isOurs ? i * 3 + 1 : 0, endpoint),
    ),
  );
const leavings = fc.dictionary(
  names.map((name) => `${name}::2`),
  fc.integer({ min: 1, max: 50 }),
);

test("a plan leads to what is desired, by no more steps than needed, and leaves the rest alone", () => {
  fc.assert(
    fc.property(desires, presents, leavings, (goal, all, gone) => {
      const leaving = new Map(Object.entries(gone));
      const present = all.filter(({ name }) => !leaving.has(name));
      const plan = reconcile(goal, present, leaving);
      const after = applied(present, plan);

      const ours = after.filter(isManaged);
      for (const [name, endpoint] of goal.servers) {
        const found = ours.filter((other) => instanceName(other.name) === name);
        assert.equal(found.length, 1, `${name} is there once`);
        const { address, port, weight } = found[0] as TargetServer;
        assert.deepEqual({ address, port, weight }, endpoint);
      }
      const isKept = ({ name }: TargetServer) =>
        goal.keep.has(instanceName(name)) && !goal.servers.has(instanceName(name));
      assert.deepEqual(ours.filter(isKept), present.filter(isManaged).filter(isKept), "what is kept stays");
      for (const { name } of ours) {
        assert.ok(goal.servers.has(instanceName(name)) || goal.keep.has(instanceName(name)));
      }
      assert.deepEqual(
        after.filter((other) => !isManaged(other)),
        present.filter((other) => !isManaged(other)),
        "other people's servers are as they were",
      );

      const allNames = [...after.map(({ name }) => name), ...leaving.keys()];
      assert.equal(new Set(allNames).size, allNames.length, "names are unique");
      const added = plan.changes.flatMap((change) => (change.kind === "add" ? [change.id] : []));
      const taken = [...present.map(({ id }) => id), ...leaving.values(), present.length];
      for (const id of added) assert.ok(id > Math.max(0, ...taken), "ids are new");
      assert.equal(new Set(added).size, added.length);

      assert.deepEqual(
        reconcile(goal, after, leaving),
        { changes: [], removals: [] },
        "there is nothing left to do",
      );
      const touched = plan.changes.map((change) => `${change.kind} ${change.name}`);
      assert.equal(new Set(touched).size, touched.length, "no step is made twice");
    }),
  );
});
