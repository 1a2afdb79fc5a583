import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSystem, run } from "./host.mjs";
import { SetupError } from "./step.mjs";

/** The key that Debian's archive is signed with. */
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/**
 * The version of a package that apt would install from the system's own sources.
 *
 * @param {import("./host.mjs").Host} host
 * @param {string} name
 * @returns {Promise<string | undefined>} Undefined when it has none.
 */
export async function aptCandidate(host, name) {
  const { output } = await run(host, "apt-cache", ["policy", name], { env: { LC_ALL: "C" } });
  const version = /^ *Candidate: (?:\d+:)?(\S+)$/m.exec(output)?.[1];
  return version === "(none)" ? undefined : version;
}

/**
 * The mirror that this system's apt takes a suite from. It is asked of apt rather than read from its files: they have two formats,
 * and any number of places.
 *
 * @param {import("./host.mjs").Host} host
 * @param {string} suite "bookworm"
 * @returns {Promise<string | undefined>} The address above `dists/`; undefined when no source has the suite.
 */
export async function aptMirror(host, suite) {
  const { output } = await run(host, "apt-get", ["--print-uris", "update"]);
  const suffix = `/dists/${suite}/InRelease'`;
  const line = output.split("\n").find((each) => each.startsWith("'") && each.includes(suffix));
  return line?.slice(1, line.indexOf(suffix));
}

/**
 * Makes a suite of Debian known to an apt that works below a directory of ours, from the mirror of this system's own apt.
 *
 * @param {import("./host.mjs").Host} host
 * @param {string} directory
 * @param {string} suite "trixie"
 * @param {readonly string[]} [installed] Packages that count as installed.
 * @returns {Promise<string[]>} The options of that apt. Throws a SetupError when there is no mirror, or it does not have the suite.
 */
export async function suiteApt(host, directory, suite, installed = []) {
  const system = readSystem(host);
  const mirror = system.id === "debian" ? await aptMirror(host, system.codename) : undefined;
  if (mirror === undefined) throw new SetupError("the package sources of this system have none");
  mkdirSync(join(directory, "lists", "partial"), { recursive: true });
  mkdirSync(join(directory, "archives", "partial"), { recursive: true });
  writeFileSync(join(directory, "status"), installed.map(asInstalled).join("\n"));
  writeFileSync(join(directory, "sources.list"), `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`);
  const options = privateApt(directory);
  const { ok, output } = await run(host, "apt-get", ["update", "-q", ...options]);
  if (!ok) throw new SetupError(`Debian ${suite} cannot be read from ${mirror}`, output);
  return options;
}

/**
 * @param {string} name
 * @returns {string} What dpkg's status file says of an installed package.
 */
function asInstalled(name) {
  return `Package: ${name}\nStatus: install ok installed\nArchitecture: all\nVersion: 999\nMaintainer: none\nDescription: none\n`;
}

/**
 * Options that make apt work below a directory of ours, on a sources list of ours: it needs no root and leaves the system's
 * own lists alone.
 *
 * @param {string} directory Must hold `sources.list`, `status`, `lists/partial` and `archives/partial`.
 * @returns {string[]}
 */
function privateApt(directory) {
  const settings = {
    "Dir::Etc::SourceList": `${directory}/sources.list`,
    "Dir::Etc::SourceParts": "/dev/null",
    "Dir::State::Lists": `${directory}/lists`,
    "Dir::State::Status": `${directory}/status`,
    "Dir::Cache": directory,
    "Acquire::Languages": "none",
    // A list that cannot be fetched is a failure, not a warning.
    "APT::Update::Error-Mode": "any",
    // Root's apt would drop to a user who cannot read the checkout.
    "APT::Sandbox::User": "root",
  };
  return Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
}
