import { mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { aptCandidate, suiteApt } from "./apt.mjs";
import { findProgram, isExecutable, readSystem, run } from "./host.mjs";
import { SetupError } from "./step.mjs";

/** The newest Debian release that has Consul. */
const SUITE = "bullseye";

const BY_HAND =
  "Put a `consul` binary, 1.8 or newer, on PATH. haplane itself runs without it: npm start -- --no-consul";

/**
 * Consul: the one on PATH, else a package of Debian's, unpacked below the checkout and not installed, so that it needs no root
 * and starts nothing.
 *
 * @type {import("./step.mjs").Step}
 */
export const consul = {
  isPresent: (host) => findProgram(host, "consul") !== undefined || isExecutable(unpackedBinary(host.tools)),

  async install(host) {
    const system = readSystem(host);
    const hasTools = ["apt-get", "apt-cache", "dpkg-deb"].every((name) => findProgram(host, name));
    if (!system.isDebianFamily || !hasTools) throw new SetupError(`Consul is missing. ${BY_HAND}`);
    const work = mkdtempSync(join(host.tools, "consul-"));
    try {
      if (await aptCandidate(host, "consul")) {
        host.say("Unpacking the package consul of this system below .haplane/tools.");
        await unpack(host, work, []);
      } else {
        host.say(`Unpacking the package consul of Debian ${SUITE} below .haplane/tools.`);
        await unpack(host, work, await bullseye(host, work));
      }
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  },
};

/**
 * @param {string} tools
 * @returns {string}
 */
function unpackedBinary(tools) {
  return join(tools, "consul", "usr", "bin", "consul");
}

/**
 * @param {import("./host.mjs").Host} host
 * @param {string} work
 * @returns {Promise<string[]>}
 */
async function bullseye(host, work) {
  return suiteApt(host, work, SUITE).catch((error) => {
    if (!(error instanceof SetupError)) throw error;
    throw new SetupError(`Consul is missing, and ${error.message}. ${BY_HAND}`, error.output);
  });
}

/**
 * Downloads the package (apt checks it against the archive's signature) and puts its files in place in one step.
 *
 * @param {import("./host.mjs").Host} host
 * @param {string} work
 * @param {readonly string[]} options
 * @returns {Promise<void>}
 */
async function unpack(host, work, options) {
  const download = await run(host, "apt-get", ["download", "-q", ...options, "consul"], { cwd: work });
  const file = readdirSync(work).find((name) => name.endsWith(".deb"));
  if (!download.ok || !file) {
    throw new SetupError(`The package consul could not be downloaded. ${BY_HAND}`, download.output);
  }
  const unpacked = join(work, "unpacked");
  const extract = await run(host, "dpkg-deb", ["-x", join(work, file), unpacked]);
  if (!extract.ok || !isExecutable(join(unpacked, "usr", "bin", "consul"))) {
    throw new SetupError(`The package consul could not be unpacked. ${BY_HAND}`, extract.output);
  }
  const target = join(host.tools, "consul");
  rmSync(target, { recursive: true, force: true });
  renameSync(unpacked, target);
}
