import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fakeHost } from "./fake-host.mjs";
import { packages } from "./packages.mjs";

const A = { version: "1.0.0", integrity: "sha512-a" };
const LOCKED = {
  "": { version: "0.1.0" },
  "node_modules/a": A,
  "node_modules/b-other-platform": { version: "1.0.0", integrity: "sha512-b", optional: true },
};

/**
 * A checkout with a lock file, and what npm says it installed.
 *
 * @param {string} root
 * @param {object} installed
 */
function layOut(root, installed) {
  mkdirSync(join(root, "node_modules", ".bin"), { recursive: true });
  writeFileSync(join(root, "package-lock.json"), JSON.stringify({ packages: LOCKED }));
  writeFileSync(join(root, "node_modules", ".package-lock.json"), JSON.stringify({ packages: installed }));
  writeFileSync(join(root, "node_modules", ".bin", "node"), "#!/bin/sh\n");
  chmodSync(join(root, "node_modules", ".bin", "node"), 0o755);
}

const states = [
  { name: "all that this platform needs", installed: { "node_modules/a": A }, isPresent: true },
  { name: "nothing", installed: {}, isPresent: false },
  { name: "another version", installed: { "node_modules/a": { ...A, version: "0.9.0" } }, isPresent: false },
  {
    name: "another content",
    installed: { "node_modules/a": { ...A, integrity: "sha512-x" } },
    isPresent: false,
  },
  {
    name: "one that is no longer locked",
    installed: { "node_modules/a": A, "node_modules/c": A },
    isPresent: false,
  },
];
for (const { name, installed, isPresent } of states) {
  test(`packages are ${isPresent ? "" : "not "}present when npm has installed ${name}`, (t) => {
    const { host } = fakeHost(t, {});
    layOut(host.root, installed);
    assert.equal(packages.isPresent(host), isPresent);
  });
}

test("packages are not present in a fresh clone", (t) => {
  const { host } = fakeHost(t, {});
  assert.equal(packages.isPresent(host), false);
});

const MAKE_NODE =
  'mkdir -p "$ROOT/node_modules/.bin"; : >"$ROOT/node_modules/.bin/node"; chmod +x "$ROOT/node_modules/.bin/node"';

test("npm ci installs them, whatever the user's npm settings say", async (t) => {
  const { host, said, calls } = fakeHost(t, { programs: { npm: MAKE_NODE } });
  await packages.install(host);
  assert.deepEqual(calls(), ["npm ci --include=dev --engine-strict=false --loglevel=error"]);
  assert.deepEqual(said, ["Installing the npm packages of package-lock.json, Node 24 among them (npm ci)."]);
});

/** @type {{ when: string, programs: Record<string, string>, says: string }[]} */
const refusals = [
  {
    when: "without npm",
    programs: {},
    says: "npm is missing. Install npm 10 or newer, which comes with Node.js.",
  },
  {
    when: "when npm fails",
    programs: { npm: "echo 'npm error code ENOTFOUND'; exit 1" },
    says: "The npm packages could not be installed; npm's own words are above. Mend that, then run: npm ci",
  },
  {
    when: "when npm runs no install scripts",
    programs: { npm: "" },
    says: "npm installed no Node 24, since it does not run install scripts here. Run: npm ci --ignore-scripts=false",
  },
];
for (const { when, programs, says } of refusals) {
  test(`packages are refused ${when}`, async (t) => {
    const { host } = fakeHost(t, { programs });
    await assert.rejects(async () => packages.install(host), { name: "SetupError", message: says });
  });
}
