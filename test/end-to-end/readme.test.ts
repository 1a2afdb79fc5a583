/**
 * Runs README.md. Blocks fenced as `sh` are run, in order, each as one script in the root of the checkout, while what `npm start` starts runs beside them; what they put into the
 * background stays until the end. Ports and the state directory are the test's own instead of the defaults. Blocks fenced as `console` show what cannot be run as it
 * stands; of the one that shows `npm start`, the output is compared. There are no other blocks.
 */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, test } from "node:test";
import { describeClients, grpcurl } from "../support/clients.ts";
import { runInShell, shellEnvironment } from "../support/commands.ts";
import { fencedBlocks } from "../support/markdown.ts";
import { freePort } from "../support/ports.ts";
import { root } from "../support/programs.ts";
import { endEverything, type StartedHaplane, startCommand, startPorts } from "../support/start.ts";

const DEFAULT_STATE_DIR = ".haplane/state";

const blocks = fencedBlocks(readFileSync(join(root, "README.md"), "utf8"));
const scripts = blocks.filter(({ language }) => language === "sh");
const dir = mkdtempSync(join(tmpdir(), "haplane-readme-"));
const stateDir = join(dir, "state");
const leftOvers: (() => void)[] = [];
let haplane: StartedHaplane;
let here: (text: string) => string;

before(async () => {
  const ports = await startPorts();
  haplane = await startCommand({ stateDir, ports });
  here = await replaceDefaults(scripts.map(({ text }) => text).join(""), ports);
});

after(async () => {
  for (const end of leftOvers) end();
  await endEverything(stateDir);
  rmSync(dir, { recursive: true, force: true });
});

test("every block is one that is run or one that shows something", () => {
  for (const { language, line, text } of blocks) {
    assert.ok(["sh", "console"].includes(language), `line ${line}: a block of "${language}"`);
    // The tests would run themselves.
    if (language === "sh") assert.doesNotMatch(text, /npm (run )?test/);
  }
  assert.ok(scripts.length > 0);
});

test("what npm start is said to print is what it prints", () => {
  const shown = blocks.find(
    ({ language, text }) => language === "console" && text.startsWith("$ npm start\n"),
  );
  assert.ok(shown !== undefined);
  for (const line of here(shown.text).trimEnd().split("\n").slice(1)) {
    assert.ok(haplane.output.split("\n").includes(line), `npm start does not print: ${line}`);
  }
});

for (const { line, text } of scripts) {
  const needsGrpcurl = /^\s*grpcurl /m.test(text) && grpcurl().path === undefined;
  test(`the commands from line ${line} on work`, {
    skip: needsGrpcurl && describeClients([grpcurl()]),
  }, async () => {
    const script = here(text);
    const { code, stdout, stderr, leftOvers: end } = await runInShell(script, shellEnvironment());
    leftOvers.push(end);
    assert.equal(code, 0, `${script}\n${stdout}\n${stderr}`);
    assert.notEqual(stdout, "", "they show something");
    // curl takes an error that haplane tells in JSON, or HAProxy in a page, for an answer like any other.
    assert.doesNotMatch(stdout, /^\{"code": ?"[a-z_]+"|^No service of this name|<h1>[45]\d\d /m);
  });
}

/** The default ports become those of the haplane that runs, every other port of the examples a free one, and the default state directory ours. */
async function replaceDefaults(
  examples: string,
  { grpc, connect, http, consul }: StartedHaplane["ports"],
): Promise<(text: string) => string> {
  const ports = new Map([
    ["5555", grpc],
    ["5556", connect],
    ["8080", http],
    ["8500", consul],
  ]);
  for (const [port] of examples.matchAll(/\b[1-9]\d{3,4}\b/g)) {
    if (!ports.has(port)) ports.set(port, await freePort());
  }
  return (text) =>
    text
      .replace(/\b[1-9]\d{3,4}\b/g, (port) => String(ports.get(port) ?? port))
      .replaceAll(DEFAULT_STATE_DIR, relative(root, stateDir));
}
