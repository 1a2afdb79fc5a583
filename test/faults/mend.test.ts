import assert from "node:assert/strict";
import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { Applied_Via } from "../../gen/haplane/v1/configuration_pb.js";
import { type ConfigurationClient, configurationClient, failureOf } from "../support/configuration-client.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { preamble } from "../support/preamble.ts";
import { waitFor } from "../support/wait.ts";

let haplane: TestHaplane;
let client: ConfigurationClient;
let close: () => void;
let page: string;

before(async () => {
  haplane = await startHaplane((statsSocket) => {
    page = join(dirname(statsSocket), "503.http");
    writeFileSync(page, "HTTP/1.0 503 Service Unavailable\r\n\r\n");
    return `${preamble(statsSocket)}backend site
    errorfile 503 ${page}
    server a 127.0.0.1:18001 id 1 weight 5
`;
  });
  ({ client, close } = configurationClient(haplane, "grpc-js"));
});
after(async () => {
  close();
  await haplane.stop();
});

test("a configuration that HAProxy cannot start with any more is mended through the API", async () => {
  // Somebody removes a file that HAProxy reads, and HAProxy dies.
  unlinkSync(page);
  process.kill(Number(readFileSync(join(haplane.dir, "state", "haproxy.pid"), "utf8")), "SIGKILL");
  const state = async () =>
    (await haplane.call<{ state?: string }>("haplane.v1.Runtime/GetInfo").catch(() => ({ state: "down" })))
      .state;
  await waitFor("HAProxy to be down", async () => (await state()) === "down");

  const weight = { name: "backends/site/servers/a", kind: { case: "server" as const, value: { weight: 7 } } };
  const refused = await failureOf(client.update({ resource: weight, updateMask: { paths: ["weight"] } }));
  assert.equal(refused.reason, "CONFIGURATION_REFUSED");
  assert.match(readFileSync(haplane.config, "utf8"), /weight 5/);

  const { applied } = await client.update({
    resource: { name: "backends/site", kind: { case: "backend", value: {} } },
    updateMask: { paths: ["errorfile"] },
  });
  assert.equal(applied?.via, Applied_Via.RELOAD, applied?.reasons.join());
  assert.match(await haplane.ask("show servers state site"), / a 127\.0\.0\.1 /);
  const weighed = await client.update({ resource: weight, updateMask: { paths: ["weight"] } });
  assert.equal(weighed.applied?.via, Applied_Via.RUNTIME, weighed.applied?.reasons.join());
});
