import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { endChild } from "../support/child.ts";
import { haproxyBinary } from "../support/haproxy.ts";
import { runHaplane } from "../support/run-haplane.ts";
import { waitFor } from "../support/wait.ts";

const dir = mkdtempSync(join(tmpdir(), "haplane-op-"));
const path = (name: string) => join(dir, name);
let taken: Server;
let port: number;

before(async () => {
  mkdirSync(path("directory"));
  execFileSync("mkfifo", [path("fifo")]);
  const config = `global\n    stats socket ${path("stats.sock")} mode 600 level admin\n`;
  writeFileSync(path("haproxy.cfg"), config);
  taken = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => taken.once("listening", resolve));
  ({ port } = taken.address() as { port: number });
});
after(() => {
  taken.close();
  rmSync(dir, { recursive: true });
});

/** The arguments of a haplane that would start, but for `args`. */
function serve(stateDir: string, ...args: readonly string[]): string[] {
  return [
    ...["serve", `--state-dir=${stateDir}`, `--config=${path("haproxy.cfg")}`, `--haproxy=${haproxyBinary}`],
    ...["ssl-certs", "maps", "general", "spoe"].map((kind) => `--${kind}-dir=${path(kind)}`),
    ...["--grpc=127.0.0.1:0", "--connect=127.0.0.1:0", ...args],
  ];
}

/** Starts it where it must not start. It ends by itself, or the test does not pass. */
function refused(args: readonly string[], says: string): void {
  const { code, error } = runHaplane(args);
  assert.ok(code === 1 || code === 2, `it ended with ${code}: ${error}`);
  const lines = error.split("\n").filter((line) => !line.startsWith("{"));
  assert.ok(lines.join("\n").replaceAll(dir, "DIR").includes(says), error);
  assert.doesNotMatch(error, /^\s+at .*:\d+:\d+/m, "no stack: it is no defect");
}

describe("what an operator gets wrong is told in a sentence, and haplane ends", () => {
  const cases: readonly (readonly [name: string, args: readonly string[], says: string])[] = [
    [
      "a directory for the log",
      ["--log-file=DIR/directory"],
      "DIR/directory (log_file) cannot be written: it is a directory",
    ],
    ["a FIFO for the log", ["--log-file=DIR/fifo"], "DIR/fifo (log_file) cannot be written: it is a FIFO"],
    [
      "a log where there are no directories",
      ["--log-file=/proc/haplane/log"],
      "/proc/haplane/log (log_file) cannot be written: no directory can be made in /proc",
    ],
    [
      "a directory for the tokens",
      ["--tokens-file=DIR/directory"],
      "DIR/directory cannot be read: it is a directory",
    ],
    ["a FIFO for the tokens", ["--tokens-file=DIR/fifo"], "DIR/fifo cannot be read: it is a FIFO"],
    ["a device for the tokens", ["--tokens-file=/dev/zero"], "/dev/zero cannot be read: it is a device"],
    ["a FIFO for the settings", ["--settings=DIR/fifo"], "DIR/fifo: cannot be read: it is a FIFO"],
    ["a device for the settings", ["--settings=/dev/zero"], "/dev/zero: cannot be read: it is a device"],
    [
      "a FIFO for the certificate",
      ["--tls-certificate=DIR/fifo", "--tls-key=DIR/fifo"],
      "DIR/fifo cannot be read: it is a FIFO",
    ],
    ["a FIFO for the configuration", ["--config=DIR/fifo"], "DIR/fifo cannot be read: it is a FIFO"],
    [
      "a port of gRPC that is taken",
      ["--grpc=127.0.0.1:PORT"],
      "cannot listen on 127.0.0.1:PORT: the address is in use",
    ],
    [
      "a port of Connect that is taken",
      ["--connect=127.0.0.1:PORT"],
      "cannot listen on 127.0.0.1:PORT: the address is in use",
    ],
    [
      "an address of another machine",
      ["--grpc=192.0.2.1:0", "--allow-plaintext"],
      "cannot listen on 192.0.2.1:0: the address is not one",
    ],
  ];
  for (const [index, [name, args, says]] of cases.entries())
    test(name, () => {
      const put = (text: string) => text.replaceAll("DIR", dir).replaceAll("PORT", String(port));
      refused(serve(path(`state-${index}`), ...args.map(put)), says.replaceAll("PORT", String(port)));
    });
});

describe("what lies where a socket belongs", () => {
  const kinds: readonly (readonly [name: string, put: (at: string) => void])[] = [
    ["a directory", (at) => mkdirSync(at)],
    ["a FIFO", (at) => execFileSync("mkfifo", [at])],
    ["a file", (at) => writeFileSync(at, "precious")],
  ];
  for (const socket of ["grpc.sock", "connect.sock"])
    for (const [name, put] of kinds)
      test(`${name} in place of ${socket} is left alone and named`, () => {
        const state = mkdtempSync(path("sockets-"));
        const at = join(state, socket);
        put(at);
        refused(serve(state), `cannot listen on ${at.replace(dir, "DIR")}: there is a file of another kind`);
        assert.ok(existsSync(at));
      });

  test("a socket that another process listens on is left to it", async () => {
    const state = mkdtempSync(path("sockets-"));
    const at = join(state, "grpc.sock");
    const program = `require("node:net").createServer().listen(${JSON.stringify(at)})`;
    const other = spawn(process.execPath, ["-e", program], { stdio: "ignore" });
    try {
      await waitFor("the other process to listen", () => existsSync(at));
      refused(serve(state), `cannot listen on ${at.replace(dir, "DIR")}: another process listens there`);
      assert.ok(existsSync(at));
      // What it leaves behind when it is killed is in nobody's way.
      await endChild(other, "SIGKILL", 0);
      assert.ok(existsSync(at));
      refused(
        serve(state, `--connect=127.0.0.1:${port}`),
        `cannot listen on 127.0.0.1:${port}: the address is in use`,
      );
    } finally {
      await endChild(other, "SIGKILL", 0);
    }
  });
});

describe("settings of every kind of error are refused with their place", () => {
  const cases: readonly (readonly [name: string, text: string, says: string])[] = [
    ["no YAML", "grpc: [\n", ":2:1: "],
    ["a list", "- grpc\n", ":1:1: the file must be a mapping"],
    ["an unknown name", "log_levle: info\n", ":1:1: log_levle is no setting"],
    ["a name twice", "read_only: true\nread_only: true\n", ":2:1: "],
    ["a number that is none", "max_streams: many\n", ':1:14: max_streams is "many"'],
    ["a number that is too small", "max_streams: 0\n", ":1:14: max_streams is"],
    ["a number beyond 32 bits", "max_streams: 99999999999\n", ":1:14: max_streams is"],
    ["a switch that is none", "read_only: perhaps\n", ':1:12: read_only is "perhaps"'],
    ["a word that is not allowed", "log_level: loud\n", ':1:12: log_level is "loud"'],
    ["an address that is none", "grpc: 127.0.0.1:99999\n", ":1:7: grpc is "],
    ["nothing", "grpc:\n", ":1:6: grpc must be one value"],
    ["a mapping for a value", "grpc: {host: a}\n", ":1:7: grpc must be one value"],
    ["an alias", "grpc: &a 127.0.0.1:1\nconnect: *a\n", ":2:10: connect is an alias"],
    ["a user without a role", "users: [{name: tom, password: x}]\n", ":1:9: users[0] has no role"],
    ["a role that is none", "users: [{name: tom, password: x, role: root}]\n", 'users[0].role is "root"'],
    ["a certificate without its key", "tls_certificate: /x\n", "--tls-key is missing"],
    ["bytes that are no text", "\u0000\u0001: \ufffd\n", ":1:1: "],
    ["too much", `# ${"x".repeat(1024 * 1024)}\n`, "has more than"],
  ];
  for (const [index, [name, text, says]] of cases.entries())
    test(name, () => {
      const file = path(`settings-${index}.yaml`);
      writeFileSync(file, text);
      refused(serve(path("never"), `--settings=${file}`), says);
      assert.equal(existsSync(path("never")), false, "nothing is made before the settings are right");
    });
});
