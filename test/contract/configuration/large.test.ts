import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Applied_Via } from "../../../gen/haplane/v1/configuration_pb.js";
import { type ConfigurationClient, configurationClient } from "../../support/configuration-client.ts";
import { startHaplane, type TestHaplane } from "../../support/haplane.ts";

const SERVERS = 5_000;

let haplane: TestHaplane;
let client: ConfigurationClient;
let close: () => void;

before(async () => {
  const servers = Array.from(
    { length: SERVERS },
    (_, i) => `    server old${i} ${address(0, i)}:80 id ${i + 1}\n`,
  );
  haplane = await startHaplane(
    (statsSocket) =>
      `global\n    stats socket ${statsSocket} mode 600 level admin\ndefaults\n    mode http\n    timeout connect 1s\n    timeout client 5s\n    timeout server 5s\nbackend site\n${servers.join("")}`,
  );
  ({ client, close } = configurationClient(haplane, "grpc-js"));
});
after(async () => {
  close();
  await haplane.stop();
});

function address(net: number, i: number): string {
  return `10.${net}.${i >> 8}.${i & 255}`;
}

test("5,000 servers are replaced in one call, in the file and in the same worker", async () => {
  const { pid, reloads } = await haplane.worker();
  const desired = Array.from({ length: SERVERS }, (_, i) => ({
    name: `backends/site/servers/new${i}`,
    kind: { case: "server" as const, value: { address: address(1, i), port: 80, id: SERVERS + i + 1 } },
  }));
  const { applied, changes } = await client.apply({ desired, prune: ["backends/site/servers"] });
  assert.equal(applied?.via, Applied_Via.RUNTIME, applied?.reasons.join());
  assert.equal(changes.length, 2 * SERVERS);
  assert.deepEqual(await haplane.worker(), { pid, reloads });
  const expected = desired.map(({ kind }, i) => `new${i} ${kind.value.address}`);
  const file = readFileSync(haplane.config, "utf8");
  assert.deepEqual(
    [...file.matchAll(/^ {4}server (\S+) ([^:]+):80/gm)].map(([, name, ip]) => `${name} ${ip}`),
    expected,
  );
  const states = await haplane.ask("show servers state site");
  const running = [...states.matchAll(/^\d+ site \d+ (\S+) (\S+)/gm)].map(([, name, ip]) => `${name} ${ip}`);
  assert.deepEqual(running.sort(), expected.sort());
});
