import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fakeHost } from "./fake-host.mjs";
import { run } from "./host.mjs";
import { otherHaproxy } from "./other-haproxy.mjs";

const APT_GET = `case "$*" in
  *--print-uris*) echo "'file:/srv/debian/dists/bookworm/InRelease' main 0" ;;
  *download-only*) for word; do case "$word" in
    Dir::Cache=*) : >"\${word#Dir::Cache=}/archives/haproxy_3.0_amd64.deb" ;;
  esac; done ;;
esac`;
/** Unpacks a loader that says what it is to load. */
const DPKG_DEB = `lib="$3/usr/lib/x86_64-linux-gnu"
mkdir -p "$lib" "$3/usr/sbin"
printf '#!/bin/sh\\necho "$@"\\n' >"$lib/ld-linux-x86-64.so.2"
: >"$3/usr/sbin/haproxy"
chmod +x "$lib/ld-linux-x86-64.so.2" "$3/usr/sbin/haproxy"`;

const step = otherHaproxy("trixie");

test("HAProxy of another release is unpacked, and started with its own libraries", async (t) => {
  const { host, said } = fakeHost(t, {
    isRoot: false,
    programs: { "apt-get": APT_GET, "dpkg-deb": DPKG_DEB },
  });
  assert.equal(await step.isPresent(host), false);
  await step.install(host);
  assert.equal(await step.isPresent(host), true);
  assert.deepEqual(said, ["Unpacking the package haproxy of Debian trixie below .haplane/tools."]);
  assert.deepEqual(readdirSync(host.tools), ["haproxy-trixie"]);
  const directory = join(host.tools, "haproxy-trixie");
  const { output } = await run(host, join(directory, "haproxy"), ["-v"]);
  assert.equal(
    output,
    `--argv0 ${join(directory, "haproxy")} --library-path ${directory}/usr/lib/x86_64-linux-gnu ${directory}/usr/sbin/haproxy -v\n`,
  );
});

/** @type {{ when: string, machine: Parameters<typeof fakeHost>[1], says: RegExp }[]} */
const refusals = [
  { when: "on another system", machine: { system: "fedora", programs: {} }, says: /this is no Debian/ },
  {
    when: "when the download fails",
    machine: {
      programs: {
        "apt-get": `case "$*" in *download-only*) exit 100;; esac\n${APT_GET}`,
        "dpkg-deb": DPKG_DEB,
      },
    },
    says: /could not be downloaded/,
  },
  {
    when: "when the package holds no binary",
    machine: { programs: { "apt-get": APT_GET, "dpkg-deb": 'mkdir -p "$3"' } },
    says: /no binary that could be started/,
  },
  {
    when: "when it does not run",
    machine: {
      programs: { "apt-get": APT_GET, "dpkg-deb": DPKG_DEB.replace('echo "$@"', "exit 1") },
    },
    says: /does not run here/,
  },
];
for (const { when, machine, says } of refusals) {
  test(`the tests run without it ${when}`, async (t) => {
    const { host } = fakeHost(t, machine);
    await assert.rejects(async () => step.install(host), { name: "SetupError", message: says });
    assert.equal(await step.isPresent(host), false);
    assert.deepEqual(readdirSync(host.tools), []);
  });
}
