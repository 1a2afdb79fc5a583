import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { haproxyBinary } from "../support/haproxy.ts";
import { runHaplane } from "../support/run-haplane.ts";

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
