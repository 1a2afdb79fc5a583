import assert from "node:assert/strict";
import { test } from "node:test";
import { readSettings } from "./read-settings.ts";
import { SettingsError } from "./settings-error.ts";

test("the embedded default needs nothing", () => {
  const settings = readSettings("start", [], {});
  assert.equal(settings.stateDir, ".haplane/state");
  assert.deepEqual(settings.config, [".haplane/state/haproxy.cfg"]);
  assert.deepEqual(settings.grpc, { host: "127.0.0.1", port: 5555 });
  assert.deepEqual(settings.consul, { host: "127.0.0.1", port: 8500 });
  assert.equal(settings.logFile, ".haplane/state/haplane.log");
});

test("flags win over the environment, which wins over defaults", () => {
  const env = {
    HAPLANE_STATE_DIR: "/var/a",
    HAPLANE_GRPC: "[::1]:7000",
    HAPLANE_NO_CONSUL: "1",
    HAPLANE_CONFIG: "/etc/a.cfg,/etc/b.cfg",
  };
  const settings = readSettings(
    "serve",
    ["--state-dir", "/var/b", "--config=/etc/c.cfg", "--config=/etc/d.cfg"],
    env,
  );
  assert.equal(settings.stateDir, "/var/b");
  assert.deepEqual(settings.grpc, { host: "::1", port: 7000 });
  assert.deepEqual(settings.config, ["/etc/c.cfg", "/etc/d.cfg"]);
  assert.equal(settings.consul, undefined);
  assert.deepEqual(readSettings("serve", [], env).config, ["/etc/a.cfg", "/etc/b.cfg"]);
});

test("files are below the state directory in the embedded default, in /etc/haproxy otherwise", () => {
  const { directories } = readSettings("start", ["--state-dir=/s", "--maps-dir=/m"], {});
  assert.deepEqual(directories, {
    ...{ sslCerts: "/s/ssl", maps: "/m" },
    ...{ general: "/s/general", spoe: "/s/spoe" },
  });
  assert.deepEqual(readSettings("serve", [], {}).directories, {
    ...{ sslCerts: "/etc/haproxy/ssl", maps: "/etc/haproxy/maps" },
    ...{ general: "/etc/haproxy/general", spoe: "/etc/haproxy/spoe" },
  });
});

for (const [argv, expected] of [
  [["--grpc", "5555"], /--grpc is "5555"; write HOST:PORT/],
  [["--grpc", "127.0.0.1:70000"], /--grpc is "127.0.0.1:70000"/],
  [["--reflection", "maybe"], /--reflection is "maybe"; allowed are on, local, off/],
  [["--log-level", "loud"], /--log-level is "loud"/],
  [["--sate-dir", "x"], /Unknown option '--sate-dir'/],
  [["--state-dir="], /--state-dir is empty/],
  [["stray"], /Unexpected argument 'stray'/],
] as const) {
  test(`refused: ${argv.join(" ")}`, () => {
    assert.throws(
      () => readSettings("serve", argv, {}),
      (error) => error instanceof SettingsError && expected.test(error.message),
    );
  });
}

test("TLS needs a certificate and its key; the environment of the Data Plane API is known too", () => {
  const env = {
    TLS_CERTIFICATE: "/c",
    TLS_PRIVATE_KEY: "/k",
    TLS_CA_CERTIFICATE: "/a",
    HAPLANE_TLS_KEY: "/ours",
  };
  assert.deepEqual(readSettings("serve", ["--tls-client-role=viewer"], env).tls, {
    ...{ certificate: "/c", key: "/ours", ca: "/a" },
  });
  assert.equal(readSettings("serve", [], {}).tls, undefined);
  for (const [args, missing] of [
    [["--tls-certificate=/c"], "tls-key"],
    [["--tls-key=/k"], "tls-certificate"],
    [["--tls-ca=/a"], "tls-certificate"],
  ] as const)
    assert.throws(
      () => readSettings("serve", args, {}),
      new SettingsError(`--${missing} is missing: TLS needs a certificate and its key`),
    );
  assert.throws(() => readSettings("serve", ["--tls-client-role=root"], {}), SettingsError);
});
