import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { describeClients, grpcurl } from "../support/clients.ts";
import { runInShell, shellEnvironment } from "../support/commands.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { fencedBlocks } from "../support/markdown.ts";
import { preamble } from "../support/preamble.ts";
import { root } from "../support/programs.ts";

let haplane: TestHaplane;

before(async () => {
  haplane = await startHaplane((statsSocket) => `${preamble(statsSocket)}`);
});
after(() => haplane.stop());

test("the session of docs/runtime.md runs as it is written", {
  skip: grpcurl().path === undefined && describeClients([grpcurl()]),
}, async () => {
  const blocks = fencedBlocks(readFileSync(join(root, "docs", "runtime.md"), "utf8")).filter(
    ({ language }) => language === "sh",
  );
  assert.equal(blocks.length, 8);
  const script = blocks.flatMap(({ text }, index) => [`echo "== ${index}"`, text]).join("\n");
  const here = script
    .replaceAll(".haplane/state", join(haplane.dir, "state"))
    .replaceAll("127.0.0.1:5555", `unix://${join(haplane.dir, "state", "grpc.sock")}`);
  const { code, stdout, stderr } = await runInShell(`set -e\n${here}`, shellEnvironment());
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  const printed = stdout.split(/^== \d+\n/m).slice(1);
  const expected: readonly (readonly [block: number, said: RegExp])[] = [
    [0, /"revision": "2"/],
    [1, /"curr_?[cC]onns": \d/],
    [1, /"svname": "one"[\s\S]*"svname": "two"/],
    [2, /"runtimeOnly": \[\n\s*"weight"\n/],
    [3, /"revision": "3"[\s\S]*"via": "VIA_RUNTIME"/],
    [4, /"changed": 2,[\s\S]*"reason": "RESOURCE_NOT_FOUND"/],
    [5, /"configured": true[\s\S]*"revision": "4"[\s\S]*"revision": "5"/],
    [6, /"name": "loops"/],
    [7, /shop\/one/],
  ];
  for (const [block, said] of expected) assert.match(printed[block] ?? "", said, `block ${block}`);
});
