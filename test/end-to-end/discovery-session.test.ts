import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { describeClients, grpcurl } from "../support/clients.ts";
import { runSession } from "../support/session.ts";
import { endEverything, type StartedHaplane, startCommand, startPorts } from "../support/start.ts";

const dir = mkdtempSync(join(tmpdir(), "haplane-discovery-"));
const stateDir = join(dir, "state");
let haplane: StartedHaplane;

before(async () => {
  haplane = await startCommand({ stateDir, ports: await startPorts() });
});
after(async () => {
  await endEverything(stateDir);
  rmSync(dir, { recursive: true, force: true });
});

test("the session of docs/discovery.md runs as it is written", {
  skip: grpcurl().path === undefined && describeClients([grpcurl()]),
}, async () => {
  const { grpc, consul } = haplane.ports;
  const here = (script: string) =>
    script
      .replaceAll(".haplane/state", stateDir)
      .replaceAll("5555", String(grpc))
      .replaceAll("8500", String(consul));
  const printed = await runSession({ page: "discovery.md", here }, [
    [1, /"state": "SOURCE_STATE_SYNCED"[\s\S]*"servers": 2\n/],
    [2, /"id": "cart-2",[^}]*"weight": 3,[^}]*"DISCOVERED_SERVER_STATE_LIVE"/],
    [2, /"reason": "it is Consul's own"/],
    [2, /cart\/servers\/local-cart-1"[\s\S]*cart\/servers\/local-cart-2"/],
    [3, /"id": "cart-1",\s*"state": "DISCOVERED_SERVER_STATE_UNHEALTHY",\s*"reason": "it is in maintenance"/],
    [4, /"state": "SOURCE_STATE_SYNCED"[\s\S]*"services": 1,\s*"servers": 1\n/],
    [4, /"name": "backends\/v2-cart\/servers\/local-cart-2"[\s\S]*"maxconn": 100,\s*"check": true/],
    [5, /"drainTime": "5s"/],
    [6, /"state": "SOURCE_STATE_SYNCED"/],
    [7, /^\{\}\n[\s\S]*"name": "sources\/local"/],
  ]);
  // With `prune`, nothing of the second source is left.
  assert.doesNotMatch(printed.slice(printed.lastIndexOf("== 7")), /sources\/second|keptBackends/);
});
