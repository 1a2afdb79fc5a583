import assert from "node:assert/strict";
import { test } from "node:test";
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

test("a service whose name is of no use stands in nobody's way", () => {
  const services = readServices({ consul: [], web: [], [`x${"y".repeat(600)}`]: [], "": [] }, SELECT_ALL);
  assert.deepEqual([...services.taken], ["web"]);
});
