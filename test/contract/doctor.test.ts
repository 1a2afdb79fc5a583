import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, describe, test } from "node:test";
import { diagnose } from "../../src/doctor/diagnose.ts";
import { runDoctor } from "../../src/doctor/run-doctor.ts";
import { systemClock as clock } from "../../src/lib/clock.ts";
import { readSettings } from "../../src/settings/read-settings.ts";
import { createAuthority } from "../support/certificates.ts";
import { haproxyBinary, startHaproxy, type TestHaproxy } from "../support/haproxy.ts";

const inDays = (days: number) => new Date(Date.now() + days * 86_400_000);

describe("what is wrong with a machine is told, with what to do", () => {
  const dir = mkdtempSync(join(tmpdir(), "haplane-doctor-"));
  const path = (name: string) => join(dir, name);
  const web = `frontend web\n  bind unix@${path("web.sock")}\n`;
  let haproxy: TestHaproxy;
  let taken: Server;
  before(async () => {
    haproxy = await startHaproxy(({ dir: own }) => `frontend web\n  bind unix@${join(own, "web.sock")}\n`);
    taken = createServer().listen(0, "127.0.0.1");
    writeFileSync(path("file"), "");
    writeFileSync(path("words"), "not a program");
    writeFileSync(path("broken.cfg"), `global\n  nonsense\n${web}`);
    writeFileSync(path("warned.cfg"), web);
    mkdirSync(path("directory"));
    symlinkSync(haproxy.config, path("link.cfg"));
    const { certificate, key } = createAuthority().issue(["localhost"], { notAfter: inDays(99) });
    writeFileSync(path("server.pem"), certificate);
    writeFileSync(path("server.key"), key, { mode: 0o644 });
    for (const [name, options] of [
      ["ended", { notBefore: inDays(-9), notAfter: inDays(-1) }],
      ["early", { notBefore: inDays(1), notAfter: inDays(99) }],
      ["ending", { notAfter: inDays(29) }],
    ] as const) {
      const issued = createAuthority().issue(["localhost"], options);
      writeFileSync(path(`${name}.pem`), issued.certificate);
      writeFileSync(path(`${name}.key`), issued.key, { mode: 0o600 });
    }
    writeFileSync(path("other.key"), createAuthority().key);
  });
  after(async () => {
    taken.close();
    await haproxy.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  /** What is found where all is well but for these settings. */
  async function found(
    overrides: Readonly<Record<string, string>> = {},
    binary: string | undefined = haproxyBinary,
  ) {
    const settings = {
      config: haproxy.config,
      "master-socket": haproxy.masterSocket,
      "state-dir": path("state"),
      ...{
        "ssl-certs-dir": path("ssl"),
        "maps-dir": path("maps"),
        "general-dir": path("general"),
        "spoe-dir": path("spoe"),
      },
      ...{ grpc: "127.0.0.1:0", connect: "127.0.0.1:0" },
      ...overrides,
    };
    const flags = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
    return diagnose({
      settings: readSettings("serve", flags, {}, () => undefined),
      haproxyBinary: binary,
      clock,
    });
  }
  const troubles = async (...args: Parameters<typeof found>) =>
    (await found(...args)).filter(({ verdict }) => verdict !== "ok");

  test("nothing, where all is well", async () => {
    assert.deepEqual(await troubles(), []);
    assert.deepEqual(await troubles({ config: path("link.cfg") }), []);
    const words = async (config: string) => (await found({ config })).map(({ what }) => what).join("\n");
    assert.match(await words(path("link.cfg")), /link\.cfg, a link to /);
    assert.doesNotMatch(await words(relative(process.cwd(), haproxy.config)), /a link to/);
  });

  const port = () => `127.0.0.1:${(taken.address() as { port: number }).port}`;
  const cases: [string, () => Readonly<Record<string, string>>, "warning" | "problem", RegExp][] = [
    [
      "a configuration that is missing",
      () => ({ config: path("none.cfg") }),
      "problem",
      /none\.cfg cannot be read and replaced: it is not there/,
    ],
    ["a directory in place of one", () => ({ config: path("directory") }), "problem", /directory is no file/],
    [
      "one that HAProxy refuses",
      () => ({ config: path("broken.cfg") }),
      "problem",
      /HAProxy refuses .*broken\.cfg:2: .*nonsense/,
    ],
    [
      "one that HAProxy warns of",
      () => ({ config: path("warned.cfg") }),
      "warning",
      /HAProxy says of .*: missing timeouts/,
    ],
    [
      "a master that does not answer",
      () => ({ "master-socket": path("none.sock") }),
      "problem",
      /master socket .* does not answer/,
    ],
    [
      "a socket that is no master's",
      () => ({ "master-socket": haproxy.statsSocket }),
      "problem",
      /is not the socket of a master/,
    ],
    [
      "a stats socket that does not answer",
      () => ({ "stats-socket": path("none.sock") }),
      "problem",
      /stats socket .* does not answer/,
    ],
    [
      "a file in place of the state directory",
      () => ({ "state-dir": path("file") }),
      "problem",
      /file is no directory/,
    ],
    [
      "a directory that cannot be made",
      () => ({ "maps-dir": path("file/maps") }),
      "problem",
      /maps (cannot be written|is not there)/,
    ],
    ["a port that is taken", () => ({ grpc: port() }), "warning", /is taken \(--grpc\)/],
    [
      "a key of another certificate",
      () => ({ "tls-certificate": path("server.pem"), "tls-key": path("other.key") }),
      "problem",
      /key/,
    ],
    [
      "a key that everybody may read",
      () => ({ "tls-certificate": path("server.pem"), "tls-key": path("server.key") }),
      "warning",
      /server\.key can be read by everybody/,
    ],
    ...(
      [
        ["ended", "problem", /ended\.pem has expired: it ended on/],
        ["early", "problem", /early\.pem is not valid yet: it begins on/],
        ["ending", "warning", /ending\.pem ends soon, on/],
      ] as const
    ).map(([name, verdict, what]): (typeof cases)[number] => [
      `a certificate: ${name}`,
      () => ({ "tls-certificate": path(`${name}.pem`), "tls-key": path(`${name}.key`) }),
      verdict,
      what,
    ]),
  ];
  for (const [name, overrides, verdict, what] of cases)
    test(name, async () => {
      const all = await troubles(overrides());
      const finding = all.find((one) => what.test(one.what));
      assert.ok(finding, JSON.stringify(all, undefined, 2));
      assert.equal(finding.verdict, verdict);
      assert.ok(finding.remedy);
    });

  test("a program that is none, or none at all", async () => {
    for (const [binary, what] of [
      [undefined, /there is no haproxy/],
      [path("words"), /words cannot be run/],
      [process.execPath, /does not say its version|needs HAProxy/],
    ] as const) {
      const settings = readSettings("serve", [`--config=${haproxy.config}`], {}, () => undefined);
      const findings = await diagnose({ settings, haproxyBinary: binary, clock });
      assert.match(findings[0]?.what ?? "", what);
      assert.equal(findings[0]?.verdict, "problem");
    }
  });

  test("the command counts the problems", async () => {
    const flags = [
      "--config",
      path("none.cfg"),
      "--master-socket",
      path("none.sock"),
      "--stats-socket",
      path("none.sock"),
    ];
    const settings = readSettings("serve", flags, {}, () => undefined);
    let printed = "";
    assert.equal(await runDoctor({ settings, haproxyBinary, clock }, (text) => (printed += text)), false);
    assert.match(printed, /PROBLEM .*none\.cfg.*\n {8}→ /);
    assert.match(printed, /\n\d problems to mend\.\n$/);
  });
});
