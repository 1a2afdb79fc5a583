import assert from "node:assert/strict";
import { test } from "node:test";
import { createCatalogMarks, markOf } from "./marks.ts";

/** An instance as the catalog has it. */
interface Registered {
  readonly node: string;
  readonly service: string;
  readonly id: string;
  readonly at: number;
}

const NODE_INDEX = 3;
const never = new AbortController().signal;

/** A catalog that a test changes, and how often the answer about each node was read. */
function catalogOf(registered: Registered[]) {
  const reads: string[] = [];
  const said = (value: unknown, read = () => {}) => ({
    ...{ index: 1n, hasLeader: true, isFiltered: false },
    body: {
      digest: JSON.stringify(value),
      read() {
        read();
        return value;
      },
    },
  });
  const nodeOf = (node: string) => ({ Node: node, ModifyIndex: NODE_INDEX });
  const selfOf = ({ service, id, at }: Registered) => ({ Service: service, ID: id, ModifyIndex: at });
  const marks = createCatalogMarks({
    nodes: async () => said([...new Set(registered.map(({ node }) => node))].map(nodeOf)),
    node: async (node) => {
      const own = registered.filter((each) => each.node === node);
      const Services = Object.fromEntries(own.map((each) => [each.id, selfOf(each)]));
      return said({ Node: nodeOf(node), Services }, () => reads.push(node));
    },
  });
  return {
    registered,
    reads,
    look: (limit = 10) => marks.look(limit, never),
    /** What the query for the instances of a service gives. */
    health: (service: string) =>
      registered
        .filter((each) => each.service.toLowerCase() === service.toLowerCase())
        .toReversed()
        .map((each) => ({ Node: nodeOf(each.node), Service: selfOf(each), Checks: [] })),
  };
}

const web = { node: "a", service: "web", id: "web-1", at: 5 };
const more = { node: "b", service: "web", id: "web-2", at: 6 };
const db = { node: "b", service: "db", id: "db-1", at: 7 };

test("nodes and services give the same marks, in whatever order they list the instances", async () => {
  const other = { ...web, service: "WEB", id: "other case" };
  const { look, health } = catalogOf([web, more, db, other]);
  const marks = await look();
  for (const service of ["web", "db"]) assert.equal(marks?.get(service), markOf(health(service), service));
});

const changes: Record<string, Registered[]> = {
  "an instance more": [web, more, db, { ...web, id: "web-3" }],
  "an instance less": [web, db],
  "an instance that was changed": [web, { ...more, at: 9 }, db],
  "an instance on another node": [{ ...web, node: "c" }, more, db],
};
for (const [what, registered] of Object.entries(changes)) {
  test(`${what} gives its service another mark, and no other`, async () => {
    const catalog = catalogOf([web, more, db]);
    const before = await catalog.look();
    catalog.registered.splice(0, Infinity, ...registered);
    const after = await catalog.look();
    assert.notEqual(after?.get("web"), before?.get("web"));
    assert.equal(after?.get("db"), before?.get("db"));
  });
}

test("a service without instances has the mark of nothing", () => {
  assert.equal(markOf([], "web"), "");
});

test("a node that says what it said before is not read again", async () => {
  const { look, reads, registered } = catalogOf([web, more, db]);
  await look();
  registered.push({ ...db, id: "db-2" });
  await look();
  assert.deepEqual(reads, ["a", "b", "b"]);
});

test("more nodes than are worth asking are not asked", async () => {
  const { look, reads } = catalogOf([web, more, db]);
  assert.equal(await look(1), undefined);
  assert.deepEqual(reads, []);
});
