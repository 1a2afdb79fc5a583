import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { consul } from "./consul.mjs";
import { fakeHost } from "./fake-host.mjs";

const MIRROR = "mirror+file:/srv/mirrors/debian.txt";

/** An apt-get with two sources, that downloads an empty package where it stands, and keeps the sources list it was given. */
const APT_GET = `case "$*" in
  *--print-uris*)
    echo "'file:/srv/security/dists/bookworm-security/InRelease' security 0"
    echo "'${MIRROR}/dists/bookworm/InRelease' main 0"
    echo "'${MIRROR}/dists/bookworm/main/binary-amd64/Packages.xz' packages 0" ;;
  *update*) cat "\${4#Dir::Etc::SourceList=}" >"$ROOT/sources" ;;
  *download*) : >consul_1.8.7_amd64.deb ;;
esac`;
const DPKG_DEB = 'mkdir -p "$3/usr/bin" && : >"$3/usr/bin/consul" && chmod +x "$3/usr/bin/consul"';
const NO_CANDIDATE = "echo 'consul:'; echo '  Candidate: (none)'";

test("Consul on PATH is found", async (t) => {
  const { host } = fakeHost(t, { isRoot: false, programs: { consul: "" } });
  assert.equal(await consul.isPresent(host), true);
});

test("Consul comes from the newest Debian that has it, through the mirror that apt is set to, without root", async (t) => {
  const { host, said } = fakeHost(t, {
    isRoot: false,
    programs: { "apt-get": APT_GET, "apt-cache": NO_CANDIDATE, "dpkg-deb": DPKG_DEB },
  });
  assert.equal(await consul.isPresent(host), false);
  await consul.install(host);
  assert.equal(await consul.isPresent(host), true);
  assert.deepEqual(said, ["Unpacking the package consul of Debian bullseye below .haplane/tools."]);
  assert.equal(
    readFileSync(join(host.root, "sources"), "utf8"),
    `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${MIRROR} bullseye main\n`,
  );
  assert.deepEqual(readdirSync(host.tools), ["consul"]);
});

test("the system's own package is preferred", async (t) => {
  const { host, said, calls } = fakeHost(t, {
    system: "ubuntu",
    programs: { "apt-get": APT_GET, "apt-cache": "echo '  Candidate: 1.8.7+dfsg1-2'", "dpkg-deb": DPKG_DEB },
  });
  await consul.install(host);
  assert.equal(await consul.isPresent(host), true);
  assert.deepEqual(said, ["Unpacking the package consul of this system below .haplane/tools."]);
  assert.deepEqual(calls().slice(0, 2), ["apt-cache policy consul", "apt-get download -q consul"]);
});

const BY_HAND =
  "Put a `consul` binary, 1.8 or newer, on PATH. haplane itself runs without it: npm start -- --no-consul";
const TOOLS = { "apt-get": APT_GET, "apt-cache": NO_CANDIDATE, "dpkg-deb": DPKG_DEB };

/** @type {{ when: string, machine: Parameters<typeof fakeHost>[1], says: string }[]} */
const refusals = [
  {
    when: "on another system",
    machine: { system: "fedora", programs: TOOLS },
    says: `Consul is missing. ${BY_HAND}`,
  },
  { when: "where Debian has no apt", machine: {}, says: `Consul is missing. ${BY_HAND}` },
  {
    when: "on another system with apt that has no Consul",
    machine: { system: "ubuntu", programs: TOOLS },
    says: `Consul is missing, and the package sources of this system have none. ${BY_HAND}`,
  },
  {
    when: "when apt has no mirror of this release",
    machine: { programs: { ...TOOLS, "apt-get": "" } },
    says: `Consul is missing, and the package sources of this system have none. ${BY_HAND}`,
  },
  {
    when: "when the archive cannot be read or its signature is wrong",
    machine: { programs: { ...TOOLS, "apt-get": `case "$*" in *Dir::Etc*) exit 100;; esac\n${APT_GET}` } },
    says: `Consul is missing, and Debian bullseye cannot be read from ${MIRROR}. ${BY_HAND}`,
  },
  {
    when: "when the download fails",
    machine: { programs: { ...TOOLS, "apt-get": `case "$*" in *download*) exit 100;; esac\n${APT_GET}` } },
    says: `The package consul could not be downloaded. ${BY_HAND}`,
  },
  {
    when: "when the package holds no binary",
    machine: { programs: { ...TOOLS, "dpkg-deb": 'mkdir "$3"' } },
    says: `The package consul could not be unpacked. ${BY_HAND}`,
  },
];
for (const { when, machine, says } of refusals) {
  test(`Consul is refused ${when}`, async (t) => {
    const { host } = fakeHost(t, machine);
    await assert.rejects(async () => consul.install(host), { name: "SetupError", message: says });
    assert.equal(await consul.isPresent(host), false);
    assert.deepEqual(readdirSync(host.tools), []);
  });
}
