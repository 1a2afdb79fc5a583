import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { buf, describeClients, grpcurl } from "../support/clients.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { freePort } from "../support/ports.ts";
import { root } from "../support/programs.ts";

const CONFIGURATION = (statsSocket: string) => `global
    stats socket ${statsSocket} mode 600 level admin expose-fd listeners

defaults
    mode http
    timeout connect 1s
    timeout client  5s
    timeout server  5s
`;

let haplane: TestHaplane;
let ports: Readonly<Record<"8081" | "9001" | "9002", number>>;
const apps: Server[] = [];

before(async () => {
  haplane = await startHaplane(CONFIGURATION);
  ports = { 8081: await freePort(), 9001: await startApp("one"), 9002: await startApp("two") };
  mkdirSync(join(haplane.dir, ".haplane"));
  symlinkSync(join(haplane.dir, "state"), join(haplane.dir, ".haplane", "state"));
});
after(async () => {
  for (const app of apps) app.close();
  await haplane.stop();
});

test("the session of docs/configuration.md runs as it is written, again and again", async (t) => {
  t.diagnostic(describeClients([grpcurl(), buf()]));
  const before = readFileSync(haplane.config, "utf8");
  const blocks = shellBlocks(readFileSync(join(root, "docs", "configuration.md"), "utf8"));
  assert.ok(blocks.length >= 12);
  // The route is asked once it is there; what was printed tells what each step did.
  const probe = `command curl -sS --retry 20 --retry-connrefused --retry-delay 0 http://127.0.0.1:${ports[8081]}/shop; echo`;
  const script = [
    PRELUDE,
    ...blocks.flatMap((block, index) => [`echo "== ${index}"`, block, ...(index === 3 ? [probe] : [])]),
  ];
  for (const time of ["the first time", "the second time"]) {
    const { status, stdout, stderr } = await bash(withPorts(script.join("\n")));
    assert.equal(status, 0, stderr);
    assert.equal(stderr, "");
    checkPrinted(stdout, time);
    assert.equal(readFileSync(haplane.config, "utf8"), before, time);
  }
});

function checkPrinted(stdout: string, time: string): void {
  const printed = stdout.split(/^== \d+\n/m).slice(1);
  const expected: readonly (readonly [block: number, said: RegExp])[] = [
    [1, /"name":"global"/],
    [1, /^revision \d+$/m],
    [2, /\+frontend shop\\n/],
    [2, /VIA_RELOAD/],
    [3, /"name":"backends\/shop","type":"TYPE_CREATED"/],
    [3, /^(?:one|two)$/m],
    [4, /TYPE_CREATED/],
    [4, /"replayed": ?true/],
    [5, /VIA_RUNTIME/],
    [6, /VIA_NONE/],
    [7, /"name":"frontends\/shop","type":"TYPE_UPDATED"/],
    [8, /RESOURCE_IN_USE/],
    [9, /\+ {4}server three/],
    [13, /"line": ?2,\s*"message": ?"balance only supports/],
    [10, /"message":"rolls back|"diff":"---/],
  ];
  for (const [block, said] of expected) assert.match(printed[block] ?? "", said, `block ${block}, ${time}`);
  assert.doesNotMatch(printed[3] ?? "", /replayed/, time);
  assert.doesNotMatch(stdout, /"code":"(?!failed_precondition)/);
}

/** The commands of the page reach haplane by its sockets here; without grpcurl, buf makes the same calls. */
const PRELUDE = `
curl() { command curl --unix-socket "$HAPLANE_STATE/connect.sock" "$@"; }
grpcurl() {
  local plaintext="$1" header="$3" body="$5" method="$7"
  if [ -n "$GRPCURL" ]; then "$GRPCURL" "$plaintext" -H "$header" -d "$body" "unix://$HAPLANE_STATE/grpc.sock" "$method"
  else "$BUF" curl --protocol grpc --http2-prior-knowledge --unix-socket "$HAPLANE_STATE/grpc.sock" -H "$header" -d "$body" "http://127.0.0.1:5555/$method"; fi
}
`;

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a script where the page expects to be. Not synchronously: the applications behind HAProxy are in this process. */
async function bash(script: string): Promise<Ran> {
  const child = spawn("bash", ["-c", script], {
    cwd: haplane.dir,
    env: {
      ...process.env,
      ...{ HAPLANE_STATE: join(haplane.dir, "state"), BUF: buf().path ?? "", GRPCURL: grpcurl().path ?? "" },
    },
    timeout: 120_000,
  });
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit"),
  ]);
  return { status, stdout, stderr };
}

function shellBlocks(page: string): string[] {
  return [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block ?? "");
}

function withPorts(script: string): string {
  return Object.entries(ports).reduce((text, [port, own]) => text.replaceAll(port, String(own)), script);
}

async function startApp(name: string): Promise<number> {
  const app = createServer((_request, response) => response.end(`${name}\n`));
  apps.push(app);
  const port = await freePort();
  await new Promise<void>((resolve) => app.listen(port, "127.0.0.1", resolve));
  return port;
}
