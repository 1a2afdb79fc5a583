import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { after, before, test } from "node:test";
import { buf, describeClients, grpcurl } from "../support/clients.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { freePort } from "../support/ports.ts";
import { preamble } from "../support/preamble.ts";
import { reachIn, runSession, type SaidByBlock } from "../support/session.ts";

let haplane: TestHaplane;
let ports: ReadonlyMap<number, number>;
const apps: Server[] = [];

before(async () => {
  haplane = await startHaplane(preamble);
  ports = new Map([
    [8081, await freePort()],
    [9001, await startApp("one")],
    [9002, await startApp("two")],
  ]);
});
after(async () => {
  for (const app of apps) app.close();
  await haplane.stop();
});

/** The route is asked once it is there. */
const PROBES = new Map([
  [3, "curl -sS --retry 20 --retry-connrefused --retry-delay 0 http://127.0.0.1:8081/shop; echo"],
]);

const SAID: SaidByBlock = [
  [1, /"name":"global"/],
  [1, /^revision \d+$/m],
  [2, /\+frontend shop\\n/],
  [2, /VIA_RELOAD/],
  // Not one that an earlier run of the session has left.
  [3, /^(?![\s\S]*replayed)[\s\S]*"name":"backends\/shop","type":"TYPE_CREATED"/],
  [3, /^(?:one|two)$/m],
  [4, /TYPE_CREATED/],
  [4, /"replayed": ?true/],
  [5, /VIA_RUNTIME/],
  [6, /VIA_NONE/],
  [7, /"name":"frontends\/shop","type":"TYPE_UPDATED"/],
  [8, /RESOURCE_IN_USE/],
  [9, /\+ +server three/],
  [10, /"message":"rolls back|"diff":"---/],
  [13, /"line": ?2,\s*"message": ?"balance only supports/],
];

/** Without grpcurl, buf makes the same calls. */
const WITHOUT_GRPCURL = `grpcurl() { "$BUF" curl --protocol grpc --http2-prior-knowledge --unix-socket .haplane/state/grpc.sock -H "$3" -d "$5" "http://localhost/$7"; }
`;

test("the session of docs/configuration.md runs as it is written, again and again", async (t) => {
  t.diagnostic(describeClients([grpcurl(), buf()]));
  const before = readFileSync(haplane.config, "utf8");
  for (const time of ["the first time", "the second time"]) {
    await runSession(
      {
        page: "configuration.md",
        here: reachIn(haplane.dir, ports),
        prelude: grpcurl().path === undefined ? WITHOUT_GRPCURL : "",
        probes: PROBES,
        environment: { BUF: buf().path ?? "" },
      },
      SAID,
    );
    assert.equal(readFileSync(haplane.config, "utf8"), before, time);
  }
});

async function startApp(name: string): Promise<number> {
  const app = createServer((_request, response) => response.end(`${name}\n`));
  apps.push(app);
  const port = await freePort();
  await new Promise<void>((resolve) => app.listen(port, "127.0.0.1", resolve));
  return port;
}
