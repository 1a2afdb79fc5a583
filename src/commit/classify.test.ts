import assert from "node:assert/strict";
import { test } from "node:test";
import { Document } from "../text/document.ts";
import { classify, serverChanges } from "./classify.ts";

const parse = (text: string) => Document.parse([{ path: "a.cfg", bytes: Buffer.from(text) }]);

test("servers that come, change and go are told, with whole backends too, and nothing of frontends", () => {
  const before = parse(
    "backend stays\n  server a 127.0.0.1:1\n  server b 127.0.0.1:2\nbackend goes\n  server c 127.0.0.1:3\n",
  );
  const after = parse(
    "frontend f\n  bind :80\nbackend stays\n  server a 127.0.0.1:9 disabled\nlisten comes\n  server d 127.0.0.1:4\n",
  );
  const told = serverChanges(before, after).map(
    ({ type, backend, server }) =>
      `${type} ${backend}/${server.name} ${server.port}${server.disabled ? " disabled" : ""}`,
  );
  assert.deepEqual(told.toSorted(), [
    "added comes/d 4",
    "removed goes/c 3",
    "removed stays/b 2",
    "updated stays/a 9 disabled",
  ]);
});

const reasons: readonly (readonly [
  what: string,
  before: string,
  after: string,
  reasons: readonly string[],
])[] = [
  ["added", "bind :80", "bind :80\n  bind :81", ["adds bind :81 to frontend f"]],
  ["removed", "bind :80\n  bind :81", "bind :81", ["removes bind :80 from frontend f"]],
  ["changed", "bind :80", "bind :80 name a", ["changes bind :80 of frontend f"]],
  ["changed", "timeout client 1s", "timeout client 2s", ["changes timeout client of frontend f"]],
  ["moved", "bind :80\n  bind :81", "bind :81\n  bind :80", ["changes the order of lines of frontend f"]],
];

for (const [what, before, after, expected] of reasons) {
  test(`the reason for a reload says that a line is ${what}: ${before.replaceAll(/\s+/g, " ")}`, () => {
    const documents = [before, after].map((lines) => parse(`frontend f\n  ${lines}\n`)) as [
      Document,
      Document,
    ];
    assert.deepEqual(classify(...documents, undefined).reasons, expected);
  });
}
