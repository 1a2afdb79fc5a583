import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fakeHost } from "./fake-host.mjs";
import { haproxy } from "./haproxy.mjs";

const INSTALLED = "echo 'HAProxy version 2.6.12-1+deb12u4 2026/05/11 - https://haproxy.org/'";
const POLICY = "echo 'haproxy:'; echo '  Candidate: 2.6.12-1+deb12u4'";

/** An apt-get that installs the stand-in above, and asks policy-rc.d what a package script would ask. */
const APT_GET = `[ "$1" = install ] || exit 0
"$SBIN/policy-rc.d" haproxy start; echo "policy haproxy: $?" >>"$ROOT/policy"
"$SBIN/policy-rc.d" --quiet haproxy.service restart; echo "policy haproxy.service: $?" >>"$ROOT/policy"
"$SBIN/policy-rc.d" nginx start; echo "policy nginx: $?" >>"$ROOT/policy"
printf '#!/bin/sh\\n${INSTALLED.replaceAll("'", "'\\''")}\\n' >"$BIN/haproxy"; chmod +x "$BIN/haproxy"`;

test("HAProxy on PATH is found and needs nothing", async (t) => {
  const { host, said } = fakeHost(t, { programs: { haproxy: INSTALLED } });
  assert.equal(await haproxy.isPresent(host), true);
  assert.deepEqual(said, []);
});

test("HAProxy is installed by apt-get and its service held back", async (t) => {
  const { host, said, calls } = fakeHost(t, { programs: { "apt-get": APT_GET, "apt-cache": POLICY } });
  assert.equal(await haproxy.isPresent(host), false);
  await haproxy.install(host);
  assert.equal(await haproxy.isPresent(host), true);
  assert.deepEqual(said, ["Installing HAProxy with apt-get; its service is not started."]);
  assert.deepEqual(calls(), [
    "apt-get update -q",
    "apt-cache policy haproxy",
    "apt-get install -y -q --no-install-recommends haproxy",
  ]);
  assert.equal(
    readFileSync(join(host.root, "policy"), "utf8"),
    "policy haproxy: 101\npolicy haproxy.service: 101\npolicy nginx: 0\n",
  );
  assert.equal(existsSync(join(host.sbin, "policy-rc.d")), false);
});

test("an administrator's policy-rc.d stays in force", async (t) => {
  const { host } = fakeHost(t, { programs: { "apt-get": APT_GET, "apt-cache": POLICY } });
  const file = join(host.sbin, "policy-rc.d");
  writeFileSync(file, "#!/bin/sh\nexit 102\n", { mode: 0o755 });
  await haproxy.install(host);
  assert.equal(readFileSync(file, "utf8"), "#!/bin/sh\nexit 102\n");
  assert.match(readFileSync(join(host.root, "policy"), "utf8"), /policy haproxy: 102/);
});

const BY_HAND = "Install HAProxy 2.6 or newer, so that `haproxy` is on PATH.";

/** @type {{ when: string, machine: Parameters<typeof fakeHost>[1], says: string }[]} */
const refusals = [
  { when: "on another system", machine: { system: "fedora" }, says: `HAProxy is missing. ${BY_HAND}` },
  { when: "where Debian has no apt-get", machine: {}, says: `HAProxy is missing. ${BY_HAND}` },
  {
    when: "without root",
    machine: { isRoot: false, programs: { "apt-get": "" } },
    says: "HAProxy is missing, and only root can install it. Run: sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends haproxy'",
  },
  {
    when: "when apt knows none",
    machine: { programs: { "apt-get": "", "apt-cache": "echo '  Candidate: (none)'" } },
    says: `The package sources of this system have no HAProxy. ${BY_HAND}`,
  },
  {
    when: "when apt has an old one",
    machine: {
      system: "ubuntu",
      programs: { "apt-get": "", "apt-cache": "echo '  Candidate: 2.4.24-0ubuntu0.22.04.1'" },
    },
    says: `HAProxy 2.4.24-0ubuntu0.22.04.1, which apt-get would install, is too old. ${BY_HAND}`,
  },
  {
    when: "when apt-get fails",
    machine: { programs: { "apt-get": '[ "$1" = update ] || exit 100', "apt-cache": POLICY } },
    says: "HAProxy could not be installed; apt-get's own words are above. Mend that, then run: apt-get update && apt-get install -y --no-install-recommends haproxy",
  },
];
for (const { when, machine, says } of refusals) {
  test(`HAProxy is refused ${when}`, async (t) => {
    const { host } = fakeHost(t, machine);
    assert.equal(await haproxy.isPresent(host), false);
    await assert.rejects(async () => haproxy.install(host), { name: "SetupError", message: says });
    assert.equal(existsSync(join(host.sbin, "policy-rc.d")), false);
  });
}

test("an HAProxy that is too old, or no HAProxy, is refused", async (t) => {
  const old = fakeHost(t, { programs: { haproxy: "echo 'HA-Proxy version 2.4.24 2023/11/01'" } }).host;
  await assert.rejects(async () => haproxy.isPresent(old), {
    message: `HAProxy 2.4.24 at ${old.path[0]}/haproxy is too old. ${BY_HAND}`,
  });
  const other = fakeHost(t, { programs: { haproxy: "echo 'hello'" } }).host;
  await assert.rejects(async () => haproxy.isPresent(other), {
    message: `${other.path[0]}/haproxy does not say which version it is. ${BY_HAND}`,
  });
});
