import { run } from "./host.mjs";

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
 * Options that make apt work below a directory of ours, on a sources list of ours: it needs no root and leaves the system's
 * own lists alone.
 *
 * @param {string} directory Must hold `sources.list`, `status` (empty: nothing is installed), `lists/partial` and
 *   `archives/partial`.
 * @returns {string[]}
 */
export function privateApt(directory) {
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
