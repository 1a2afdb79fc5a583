import assert from "node:assert/strict";
import { test } from "node:test";
import { describeCommand } from "./describe-command.ts";

const web = { backend: "web", server: "a" } as const;
const FIRST = ["set server web/a state maint", "del server web/a"];

test("a removal is told with its wait for connections, and with what ends those that are left", () => {
  assert.deepEqual(describeCommand({ kind: "delete", ...web, drainMs: 600_000, shutdownSessions: true }), [
    ...FIRST,
    "# while it has connections: disable agent web/a; set server web/a state maint; del server web/a again, for up to 600 s; then shutdown sessions server web/a, and del server web/a",
  ]);
  assert.deepEqual(describeCommand({ kind: "delete", ...web, drainMs: 1_500 }), [
    ...FIRST,
    "# while it has connections: disable agent web/a; set server web/a state maint; del server web/a again, for up to 1.5 s",
  ]);
});

test("other changes are told as the commands that they are, without what is secret", () => {
  assert.deepEqual(
    describeCommand({
      ...{ kind: "add", ...web, address: "10.0.0.1", port: 80 },
      words: ["check", "tcp-md5sig", "hush"],
    }),
    [
      "add server web/a 10.0.0.1:80 pool-purge-delay 5s pool-max-conn -1 check tcp-md5sig [redacted]",
      "enable health web/a",
      "set server web/a state ready",
    ],
  );
  assert.deepEqual(describeCommand({ kind: "set", ...web, weight: 7, state: "ready" }), [
    "set server web/a weight 7",
    "set server web/a state ready",
  ]);
  assert.deepEqual(describeCommand({ kind: "maxconn", frontend: "www", maxconn: 10 }), [
    "set maxconn frontend www 10",
  ]);
});
