import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { suiteApt } from "./apt.mjs";
import { findProgram, isExecutable, readSystem, run } from "./host.mjs";
import { SetupError } from "./step.mjs";

/** What HAProxy's package depends on only to be installed. */
const NOT_TO_RUN = [
  "adduser",
  "init-system-helpers",
  "lsb-base",
  "sysvinit-utils",
  "openssl-provider-legacy",
];

/**
 * HAProxy of another Debian release, unpacked beside its own C library and not installed: `.haplane/tools/haproxy-SUITE/haproxy`. The conformance tests let each one
 * that is there judge what haplane writes.
 *
 * @param {string} suite "trixie" has 3.0, "sid" a newer one.
 * @returns {import("./step.mjs").Step}
 */
export function otherHaproxy(suite) {
  return {
    isPresent: (host) => isStartable(join(directoryOf(host, suite), "haproxy")),

    async install(host) {
      const without = `The tests run without the HAProxy of Debian ${suite}:`;
      const hasTools = ["apt-get", "dpkg-deb"].every((name) => findProgram(host, name));
      if (!readSystem(host).isDebianFamily || !hasTools)
        throw new SetupError(`${without} this is no Debian with apt.`);
      host.say(`Unpacking the package haproxy of Debian ${suite} below .haplane/tools.`);
      const work = mkdtempSync(join(host.tools, "haproxy-"));
      try {
        const options = await suiteApt(host, work, suite, NOT_TO_RUN);
        const unpacked = await unpack(host, work, options);
        writeStarter(unpacked);
        const { ok, output } = await run(host, join(unpacked, "haproxy"), ["-v"]);
        if (!ok) throw new SetupError("it does not run here", output);
        const target = directoryOf(host, suite);
        rmSync(target, { recursive: true, force: true });
        renameSync(unpacked, target);
      } catch (error) {
        if (!(error instanceof SetupError)) throw error;
        throw new SetupError(`${without} ${error.message}.`, error.output);
      } finally {
        rmSync(work, { recursive: true, force: true });
      }
    },
  };
}

/** Says to the loader what HAProxy is to take for its own path, which a master runs anew in every reload. */
const OWN_PATH = '--argv0 "$0"';

/**
 * Whether a starter is there, and not one of an earlier set-up whose HAProxy died in every reload.
 *
 * @param {string} starter
 * @returns {boolean}
 */
function isStartable(starter) {
  return isExecutable(starter) && readFileSync(starter, "utf8").includes(OWN_PATH);
}

/**
 * @param {import("./host.mjs").Host} host
 * @param {string} suite
 * @returns {string}
 */
function directoryOf(host, suite) {
  return join(host.tools, `haproxy-${suite}`);
}

/**
 * Downloads HAProxy and the libraries that it needs (apt checks them against the archive's signature) and unpacks them into one directory.
 *
 * @param {import("./host.mjs").Host} host
 * @param {string} work
 * @param {readonly string[]} options
 * @returns {Promise<string>} The directory.
 */
async function unpack(host, work, options) {
  const download = await run(host, "apt-get", [
    ...["install", "--download-only", "-y", "-q", "--no-install-recommends"],
    ...options,
    "haproxy",
  ]);
  const archives = join(work, "archives");
  const files = readdirSync(archives).filter((name) => name.endsWith(".deb"));
  if (!download.ok || files.length === 0)
    throw new SetupError("the package could not be downloaded", download.output);
  const unpacked = join(work, "unpacked");
  for (const file of files) {
    const { ok, output } = await run(host, "dpkg-deb", ["-x", join(archives, file), unpacked]);
    if (!ok) throw new SetupError(`the package ${file} could not be unpacked`, output);
  }
  return unpacked;
}

/**
 * Writes the program that starts HAProxy with the C library it was built for, which is not this system's.
 *
 * @param {string} unpacked
 */
function writeStarter(unpacked) {
  const libraries = ["usr/lib", "lib"]
    .filter((directory) => isDirectory(join(unpacked, directory)))
    .flatMap((directory) =>
      readdirSync(join(unpacked, directory)).map((architecture) => join(directory, architecture)),
    )
    .filter((directory) => isDirectory(join(unpacked, directory)) && directory.includes("linux-gnu"));
  const loader = libraries
    .flatMap((directory) => readdirSync(join(unpacked, directory)).map((name) => join(directory, name)))
    .find((path) => /\/ld-linux[^/]*\.so\.\d+$/.test(path));
  if (loader === undefined || !isExecutable(join(unpacked, "usr", "sbin", "haproxy")))
    throw new SetupError("the package holds no binary that could be started");
  const starter = join(unpacked, "haproxy");
  const path = libraries.map((directory) => `$root/${directory}`).join(":");
  writeFileSync(
    starter,
    `#!/bin/sh
root=\${0%/*}
exec "$root/${loader}" ${OWN_PATH} --library-path "${path}" "$root/usr/sbin/haproxy" "$@"
`,
  );
  chmodSync(starter, 0o755);
}

/**
 * @param {string} path
 * @returns {boolean}
 */
function isDirectory(path) {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
