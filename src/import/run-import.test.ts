import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary, toJson } from "@bufbuild/protobuf";
import { parse } from "yaml";
import { SourceSchema } from "../../gen/haplane/v1/service_discovery_pb.js";
import type { StoredSource } from "../discovery/source-store.ts";
import { runImport } from "./run-import.ts";

/** Runs the command over files that are only texts. */
async function run(files: Readonly<Record<string, string>>, ...args: string[]) {
  let out = "";
  let error = "";
  const written = new Map<string, string>();
  const added: StoredSource[] = [];
  const code = await runImport(args, {
    readIfThere: (path) => files[path],
    async writeNew(path, text) {
      if (files[path] !== undefined) throw new Error(`${path} is there already`);
      written.set(path, text);
    },
    async addSources(_, sources) {
      added.push(...sources);
      return [];
    },
    out: (text) => {
      out += text;
    },
    error: (text) => {
      error += text;
    },
  });
  return { code, out, notes: error.trimEnd().split("\n"), written, added };
}

/** Runs it over one settings file, and gives what haplane's settings are and what was told. */
async function settingsOf(text: string) {
  const { code, out, notes } = await run({ "d.yml": text }, "d.yml");
  assert.equal(code, 0);
  return { settings: parse(out) as Record<string, unknown>, notes };
}

/** The settings that make nothing to tell of. */
const MASTER = "haproxy:\n  master_runtime: /run/haproxy-master.sock\n";

test("settings that have a counterpart become it", async () => {
  const { settings, notes } = await settingsOf(`
config_version: 2
name: hostname
dataplaneapi:
  host: 0.0.0.0
  port: 5555
  scheme: [https]
  tls: { tls_port: 6443, tls_host: "::", tls_certificate: /etc/a.crt, tls_key: /etc/a.key, tls_ca: /etc/ca.crt }
  userlist: { userlist: controller }
  user:
    - { name: ann, password: "$5$salt$hash", insecure: false }
    - { name: bob, password: clear, insecure: true }
  resources:
    maps_dir: /m
    ssl_certs_dir: /s
    general_storage_dir: /g
    spoe_dir: /p
    update_map_files: true
    update_map_files_period: 30
haproxy:
  config_file: /etc/haproxy/haproxy.cfg
  haproxy_bin: /opt/haproxy
  master_runtime: /run/haproxy-master.sock
  reload: { reload_delay: 5, validate_files_before: [/a.cfg], validate_files_after: [/z.cfg] }
log_targets:
  - { log_to: file, log_file: /var/log/d.log, log_level: warning, log_types: [app] }
`);
  assert.deepEqual(settings, {
    config: ["/a.cfg", "/etc/haproxy/haproxy.cfg", "/z.cfg"],
    connect: "[::]:6443",
    tls_certificate: "/etc/a.crt",
    tls_key: "/etc/a.key",
    tls_ca: "/etc/ca.crt",
    userlist: "controller",
    users: [
      { name: "ann", password: "$5$salt$hash", role: "admin" },
      { name: "bob", password: "clear", role: "admin" },
    ],
    maps_dir: "/m",
    ssl_certs_dir: "/s",
    general_dir: "/g",
    spoe_dir: "/p",
    update_map_files: true,
    update_map_files_period: 30,
    haproxy: "/opt/haproxy",
    master_socket: "/run/haproxy-master.sock",
    reload_interval: 5_000,
    log_file: "/var/log/d.log",
    log_level: "warn",
  });
  assert.deepEqual(notes, [""]);
});

for (const [what, text, told] of [
  [
    "a command of its own",
    "haproxy: { reload: { reload_cmd: systemctl reload haproxy } }",
    /^haproxy.reload.reload_cmd has no counterpart/,
  ],
  ["a limit", "dataplaneapi: { max_body_size: 1 }", /^dataplaneapi.max_body_size has no counterpart/],
  ["what nobody knows", "dataplaneapi: { speed: 11 }", /^dataplaneapi.speed is not known here/],
  ["what is named like a method of objects", "constructor: 1", /^constructor is not known here/],
  ["a master socket that is not named", "name: x", /^haproxy.master_runtime is not given/],
  [
    "a password hashed as $1$",
    'dataplaneapi: { user: [{ name: ann, password: "$1$a$b" }] }',
    /^dataplaneapi.user has the user "ann".*hash it anew/,
  ],
  [
    "a password from the environment",
    'dataplaneapi: { user: [{ name: ann, password: "${PASS}", insecure: true }] }',
    /^dataplaneapi.user has the user "ann".*environment/,
  ],
  [
    "a user without a name",
    "dataplaneapi: { user: [{ password: x }] }",
    /^dataplaneapi.user has the user "".*left out/,
  ],
  ["a syslog", "log_targets: [{ log_to: syslog }]", /^log_targets has a target syslog/],
  ["a value that is none here", "dataplaneapi: { host: 'a b' }", /^result: the result:.*connect/],
] as const)
  test(`${what} is told`, async () => {
    const { notes } = await settingsOf(text);
    assert.ok(
      notes.some((note) => told.test(note)),
      notes.join("\n"),
    );
  });

test("a file that is no YAML, or no settings, is refused with its line", async () => {
  await assert.rejects(run({ "d.yml": "a: [1" }, "d.yml"), { name: "StartError", message: /^d\.yml:1:/ });
  await assert.rejects(run({ "d.yml": "- a" }, "d.yml"), { name: "StartError", message: /no mapping/ });
  const { code, notes } = await run({}, "d.yml");
  assert.equal(code, 1);
  assert.deepEqual(notes, ["haplane import: there is no d.yml"]);
});

test("arguments that make no sense are refused with the usage", async () => {
  for (const args of [[], ["a", "b"], ["--what", "a"]]) {
    const { code, notes } = await run({}, ...args);
    assert.equal(code, 2);
    assert.match(notes.join("\n"), /Usage: haplane import/);
  }
});

/** A Consul as the Data Plane API keeps it. */
const CONSUL = {
  id: "4b9",
  name: "My Consul",
  address: "10.0.0.1",
  port: 8500,
  enabled: true,
  retry_timeout: 10,
};

/** Runs it over sources, and gives them with what was told of them. */
async function sourcesOf(...consuls: object[]) {
  const files = { "d.yml": MASTER, "/sd/consul.json": JSON.stringify(consuls) };
  const { code, added, notes } = await run(files, "--service-discovery=/sd", "--output=o.yml", "d.yml");
  assert.equal(code, 0);
  const sources = added.map(({ settings }) => toJson(SourceSchema, fromBinary(SourceSchema, settings)));
  return { sources: sources as Record<string, Record<string, unknown>>[], notes };
}

test("a Consul becomes a source with the same backends, services and health", async () => {
  const { sources } = await sourcesOf({
    ...CONSUL,
    token: "secret",
    mode: "https",
    namespace: "ns",
    defaults: "web",
    service_allowlist: ["a"],
    service_denylist: ["a", "b"],
    service_name_regexp: "^web-",
    health_check_policy: "min",
    health_check_policy_min: 2,
    server_slots_base: 20,
    server_slots_growth_type: "linear",
    server_slots_growth_increment: 5,
  });
  assert.deepEqual(sources, [
    {
      name: "sources/my-consul",
      description: "My Consul",
      enabled: true,
      retryTimeout: "10s",
      backendName: "consul-backend-{address}-{port}-{service}",
      defaults: "web",
      acceptLossAfter: "30s",
      lossPercent: 50,
      drainTime: "600s",
      slots: { base: 20, growth: "SLOT_GROWTH_LINEAR", increment: 10 },
      consul: {
        address: "10.0.0.1",
        port: 8500,
        token: "secret",
        tls: {},
        namespace: "ns",
        health: "HEALTH_POLICY_MINIMUM",
        minPassing: 2,
        filter: { allow: ["a"], deny: ["b"], namePattern: "web-.*" },
      },
    },
  ]);
});

test("names become those of sources, one each", async () => {
  const { sources } = await sourcesOf(
    CONSUL,
    { ...CONSUL, port: 1 },
    { ...CONSUL, port: 2, name: "" },
    { ...CONSUL, port: 3, name: "", id: "" },
    { ...CONSUL, port: 4, name: "ä".repeat(300) },
  );
  const names = sources.map(({ name }) => name);
  assert.deepEqual(names, [
    ...["sources/my-consul", "sources/my-consul-2", "sources/consul-4b9"],
    ...["sources/consul-10-0-0-1-3", "sources/consul-"],
  ]);
});

test("a pattern without a counterpart leaves the source disabled, and what cannot be a source is left out, both told", async () => {
  const { sources, notes } = await sourcesOf(
    { ...CONSUL, service_name_regexp: "a|b" },
    { ...CONSUL, port: 0, name: "broken" },
  );
  assert.deepEqual(
    sources.map(({ name, enabled }) => ({ name, enabled })),
    [{ name: "sources/my-consul", enabled: false }] as never,
  );
  assert.match(notes.join("\n"), /^sources\/my-consul has service_name_regexp "a\|b".*disabled/m);
  assert.match(notes.join("\n"), /^sources\/broken was left out: source\.consul\.port/m);
});

test("sources are found in every form that they were kept in", async () => {
  for (const json of [[CONSUL], { consuls: [CONSUL] }, { "4b9": CONSUL }]) {
    const files = { "d.yml": MASTER, "/sd/consul.json": JSON.stringify(json) };
    const { added } = await run(files, "--service-discovery=/sd", "--output=o.yml", "d.yml");
    assert.deepEqual(
      added.map(({ name }) => name),
      ["sources/my-consul"],
    );
  }
  const listed = `${MASTER}service_discovery:\n  consuls:\n    - ${JSON.stringify(CONSUL)}\n`;
  const { added } = await run({ "d.yml": listed }, "--output=o.yml", "d.yml");
  assert.deepEqual(
    added.map(({ name }) => name),
    ["sources/my-consul"],
  );
});

test("settings that haplane could not use are not written", async () => {
  const { code, written } = await run(
    { "d.yml": "dataplaneapi: { host: 'a b' }" },
    "--output=o.yml",
    "d.yml",
  );
  assert.equal(code, 1);
  assert.equal(written.size, 0);
});

test("sources in AWS are told", async () => {
  const files = { "d.yml": MASTER, "/sd/aws.json": JSON.stringify([{ name: "cloud", region: "us-east-1" }]) };
  const { notes } = await run(files, "--service-discovery=/sd", "d.yml");
  assert.match(notes.join("\n"), /"cloud" in AWS/);
});

test("nothing is written without --output, and no token is printed", async () => {
  const files = { "d.yml": MASTER, "/sd/consul.json": JSON.stringify([{ ...CONSUL, token: "hunter2" }]) };
  const { out, notes, written, added } = await run(files, "--service-discovery=/sd", "d.yml");
  assert.equal(written.size + added.length, 0);
  assert.deepEqual(notes, ["Sources that --output would add: sources/my-consul"]);
  assert.doesNotMatch(out, /hunter2/);
});
