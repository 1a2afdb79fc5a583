import assert from "node:assert/strict";
import { test } from "node:test";
import { Document } from "../text/document.ts";
import { serverChanges } from "./classify.ts";

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
