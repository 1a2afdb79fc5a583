import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { haproxyBinary } from "../support/haproxy.ts";
import { runHaplane } from "../support/run-haplane.ts";

/** Where something of another kind lies, and what is said. `DIR` stands for the test's directory. */
const CASES: readonly {
  readonly name: string;
  readonly directory: string;
  readonly args?: readonly string[];
  readonly said: string;
}[] = [
  ...["haplane.db", "haplane.db-wal", "haplane.lock", "haplane.pid"].map((file) => ({
    name: `the state file ${file}`,
    directory: `state/${file}`,
    said: `The state directory DIR/state cannot be used: DIR/state/${file} is a directory, and must be a file; move it away.`,
  })),
  {
    name: "the admin's token",
    directory: "state/admin.token",
    said: "DIR/state/admin.token is a directory, and must be a file; move it away to have a new secret made",
  },
  {
    name: "the file of tokens",
    directory: "tokens",
    args: ["--tokens-file=DIR/tokens"],
    said: "DIR/tokens cannot be read: it is a directory, and must be a file",
  },
  {
    name: "the settings file",
    directory: "settings",
    args: ["--settings=DIR/settings"],
    said: "DIR/settings: cannot be read: it is a directory, and must be a file",
  },
  {
    name: "the configuration",
    directory: "conf.d/20-b.cfg",
    args: ["--config=DIR/conf.d"],
    said: "DIR/conf.d is a directory; haplane has to know every file that HAProxy reads, so name the files in it, in HAProxy's order: --config DIR/conf.d/10-a.cfg --config DIR/conf.d/20-b.cfg",
  },
];

for (const { name, directory, args = [], said } of CASES)
  test(`a directory in place of ${name} is named at the start, with what is right`, (t) => {
    const dir = mkdtempSync(join(tmpdir(), "haplane-odd-"));
    t.after(() => rmSync(dir, { recursive: true }));
    mkdirSync(join(dir, directory), { recursive: true });
    if (name === "the configuration")
      for (const file of ["10-a.cfg", ".5-hidden.cfg", "notes.txt"])
        writeFileSync(join(dir, "conf.d", file), "");
    const { code, error } = runHaplane([...serve(dir), ...args.map((arg) => arg.replaceAll("DIR", dir))]);
    assert.notEqual(code, 0);
    assert.equal(lastLine(error).replaceAll(dir, "DIR"), `haplane: ${said}`);
  });

for (const [name, args] of [
  ["the state directory", ["--state-dir=/proc/haplane/state"]],
  ["a directory of files", ["--maps-dir=/proc/haplane/maps"]],
  ["the directory of the log", ["--log-file=/proc/haplane/log"]],
] as const)
  test(`${name} where no directory can be made is told at once`, (t) => {
    const dir = mkdtempSync(join(tmpdir(), "haplane-odd-"));
    t.after(() => rmSync(dir, { recursive: true }));
    const { code, error } = runHaplane([...serve(dir), ...args]);
    assert.equal(code, 1, error);
    assert.match(lastLine(error), /^haplane: .*\/proc/);
  });

test("a file in place of the state directory is named at the start", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "haplane-odd-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const args = serve(dir);
  rmdirSync(join(dir, "state"));
  writeFileSync(join(dir, "state"), "");
  const { code, error } = runHaplane(args);
  assert.notEqual(code, 0);
  assert.equal(
    lastLine(error).replaceAll(dir, "DIR"),
    "haplane: The state directory DIR/state cannot be used: DIR/state is a file, and must be a directory.",
  );
});

/** Arguments for a haplane over a configuration in a directory. */
function serve(dir: string): string[] {
  const config = join(dir, "haproxy.cfg");
  mkdirSync(join(dir, "state"), { recursive: true });
  writeFileSync(config, `global\n    stats socket ${join(dir, "stats.sock")} mode 600 level admin\n`);
  return [
    ...["serve", `--state-dir=${join(dir, "state")}`, `--config=${config}`, `--haproxy=${haproxyBinary}`],
    ...["ssl-certs", "maps", "general", "spoe"].map((kind) => `--${kind}-dir=${join(dir, kind)}`),
    ...["--grpc=127.0.0.1:0", "--connect=127.0.0.1:0"],
  ];
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
