import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { describeClients, grpcurl } from "../support/clients.ts";
import { runInShell, shellEnvironment } from "../support/commands.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { fencedBlocks } from "../support/markdown.ts";
import { freePort } from "../support/ports.ts";
import { preamble } from "../support/preamble.ts";
import { root } from "../support/programs.ts";

let haplane: TestHaplane;

before(async () => {
  haplane = await startHaplane((statsSocket) => `${preamble(statsSocket)}`);
});
after(() => haplane.stop());

test("the session of docs/spoe.md runs as it is written", {
  skip: grpcurl().path === undefined && describeClients([grpcurl()]),
}, async () => {
  const blocks = fencedBlocks(readFileSync(join(root, "docs", "spoe.md"), "utf8"));
  assert.ok(blocks.length >= 9 && blocks.every(({ language }) => language === "sh"));
  const script = blocks.flatMap(({ text }, index) => [`echo "== ${index}"`, text]).join("\n");
  const ports = [await freePort(), await freePort()];
  const here = script
    .replaceAll(".haplane/state", join(haplane.dir, "state"))
    .replaceAll("127.0.0.1:5555", `unix://${join(haplane.dir, "state", "grpc.sock")}`)
    .replaceAll("8082", String(ports[0]))
    .replaceAll("12345", String(ports[1]));
  const { code, stdout, stderr } = await runInShell(`set -e\n${here}`, shellEnvironment());
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  const printed = stdout.split(/^== \d+\n/m).slice(1);
  const expected: readonly (readonly [block: number, said: RegExp])[] = [
    [1, /"version": "1"/],
    [2, /"version": "2"/],
    [3, /"version": "3"/],
    [4, /"version": "4"/],
    [5, /"version": "5"/],
    [6, /^\[mirror\]\n\nspoe-agent mirror-agent\n {4}messages request\n {4}use-backend mirrors\n/],
    [6, /^ {4}args method=method path=path src\n {4}event on-frontend-http-request if METH_GET$/m],
    [7, /\+spoe-agent geo/],
    [7, /"version": "2",\n {2}"applied"/],
    [8, /-spoe-message where/],
    [8, /\+spoe-message who/],
    [9, /"message": "adds spoe\/mirror\.conf\/scopes\/mirror"/],
    [9, /\+ {4}args method=method path=path src/],
    [9, /-.*messages request/],
    [10, /"via": "VIA_RELOAD"/],
    [10, /"directive": "filter"/],
  ];
  for (const [block, said] of expected) assert.match(printed[block] ?? "", said, `block ${block}`);
});
