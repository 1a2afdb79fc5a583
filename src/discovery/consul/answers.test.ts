import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readInstances, readServices } from "./answers.ts";
import { SELECT_ALL } from "./selection.ts";

const instance = (id: string, Port: number) => ({
  Node: { Node: "n1", Address: "10.0.0.1" },
  Service: { Service: "web", ID: id, Address: "", Port },
  Checks: [],
});

test("an instance with a port that is none stands in nobody's way", () => {
  const { instances, leftOut } = readInstances(
    [instance("a", 80), instance("b", 70_000), instance("c", -1), instance("d", 0)],
    "web",
    SELECT_ALL,
  );
  assert.deepEqual(
    instances.map(({ id }) => id),
    ["a"],
  );
  assert.deepEqual(
    leftOut.map(({ kind, node, id, reason }) => [kind, node, id, reason]),
    [
      ["unusable", "n1", "b", "70000 is not a port"],
      ["unusable", "n1", "c", "-1 is not a port"],
      ["unusable", "n1", "d", "it has no port"],
    ],
  );
});

test("an instance whose id is long stands in nobody's way", () => {
  const { instances } = readInstances(
    [instance("a", 80), instance("x".repeat(5_000), 81)],
    "web",
    SELECT_ALL,
  );
  assert.equal(instances.length, 2);
});

test("a service for whose name no query can be made is ignored, with why", () => {
  const names = {
    "line\nbreak": /printed/,
    "nul\0": /printed/,
    "line\u2028separator": /printed/,
    "half \ud800 a pair": /printed/,
    ["y".repeat(600)]: /longer than 512/,
    "..": /path/,
    "a/../b": /path/,
    "a//b": /path/,
    "/": /path/,
  };
  const list = Object.fromEntries(
    ["consul", "web", "", "__proto__", ...Object.keys(names)].map((name) => [name, []]),
  );
  const { taken, ignored } = readServices(JSON.parse(JSON.stringify(list)), SELECT_ALL);
  assert.deepEqual([...taken].sort(), ["__proto__", "web"]);
  for (const [name, reason] of Object.entries(names))
    assert.match(ignored.get(name.slice(0, 512).toWellFormed()) ?? "", reason, JSON.stringify(name));
});

test("any other name is taken, and no name stops the list", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary", minLength: 1 })), (names) => {
      const list = Object.fromEntries(names.map((name) => [name, []]));
      const { taken, ignored } = readServices(list, SELECT_ALL);
      assert.equal(taken.size + ignored.size, new Set(names).size);
      for (const name of taken) assert.doesNotThrow(() => encodeURIComponent(name));
    }),
  );
});
