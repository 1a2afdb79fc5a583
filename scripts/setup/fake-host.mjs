import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHost } from "./host.mjs";

/** os-release of the systems that tests pretend to be. */
export const SYSTEMS = {
  debian: 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n',
  ubuntu: "ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n",
  fedora: 'ID=fedora\nVERSION_ID="42"\n',
};

/**
 * A machine made of temporary directories, where the only programs are the shell scripts that a test gives. Each script writes
 * how it was called to a journal first.
 *
 * @param {import("node:test").TestContext} t Removes the machine when the test ends.
 * @param {object} machine
 * @param {keyof typeof SYSTEMS} [machine.system]
 * @param {boolean} [machine.isRoot]
 * @param {Record<string, string>} [machine.programs] Name → body of a script. `$ROOT` is the checkout, `$BIN` where the
 *   programs are.
 */
export function fakeHost(t, { system = "debian", isRoot = true, programs = {} }) {
  const base = mkdtempSync(join(tmpdir(), "set-up-"));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  const [root, bin, etc, sbin] = ["root", "bin", "etc", "sbin"].map((name) => join(base, name));
  if (!root || !bin || !etc || !sbin) throw new Error("unreachable");
  for (const directory of [root, bin, etc, sbin]) mkdirSync(directory);
  writeFileSync(join(etc, "os-release"), SYSTEMS[system]);
  const journal = join(base, "journal");
  writeFileSync(journal, "");
  /** @type {string[]} */
  const said = [];
  const host = {
    ...createHost({
      root,
      env: { ROOT: root, BIN: bin, SBIN: sbin },
      uid: isRoot ? 0 : 1000,
      pid: process.pid,
      say: (line) => said.push(line),
    }),
    path: [bin],
    etc,
    sbin,
  };
  mkdirSync(host.tools, { recursive: true });
  for (const [name, body] of Object.entries(programs)) addProgram(bin, name, journal, body);
  return { host, said, calls: () => readFileSync(journal, "utf8").split("\n").filter(Boolean) };
}

/**
 * @param {string} bin
 * @param {string} name
 * @param {string} journal
 * @param {string} body
 */
function addProgram(bin, name, journal, body) {
  const file = join(bin, name);
  writeFileSync(file, `#!/bin/sh\necho "${name} $*" >>${journal}\nPATH=/usr/bin:/bin\n${body}\n`);
  chmodSync(file, 0o755);
}
