import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram, isExecutable, run } from "./host.mjs";
import { SetupError } from "./step.mjs";

/** @typedef {Record<string, { version?: string, integrity?: string, optional?: boolean }>} LockedPackages */

/**
 * The npm packages of package-lock.json, and with them the Node that runs everything else: the `node` package puts it into
 * `node_modules/.bin`, which is first on the PATH of npm scripts.
 *
 * @type {import("./step.mjs").Step}
 */
export const packages = {
  isPresent: (host) => isExecutable(ownNode(host)) && matchesLock(host.root),

  async install(host) {
    const npm = findProgram(host, "npm");
    if (!npm) throw new SetupError("npm is missing. Install npm 10 or newer, which comes with Node.js.");
    host.say("Installing the npm packages of package-lock.json, Node 24 among them (npm ci).");
    // The options undo what a user's own npm settings may say: development packages are needed, and the warnings that the
    // machine's Node is older than some packages want are pointless, since these run on the Node that comes with them.
    const options = ["--include=dev", "--engine-strict=false", "--loglevel=error"];
    const { ok, output } = await run(host, npm, ["ci", ...options]);
    if (!ok) {
      throw new SetupError(
        "The npm packages could not be installed; npm's own words are above. Mend that, then run: npm ci",
        output,
      );
    }
    if (!isExecutable(ownNode(host))) {
      throw new SetupError(
        "npm installed no Node 24, since it does not run install scripts here. Run: npm ci --ignore-scripts=false",
        output,
      );
    }
  },
};

/**
 * @param {import("./host.mjs").Host} host
 * @returns {string}
 */
function ownNode(host) {
  return join(host.root, "node_modules", ".bin", "node");
}

/**
 * Compares the lock file with npm's own record of what it installed, which it writes when it is done. Packages for other
 * platforms are optional and not installed.
 *
 * @param {string} root
 * @returns {boolean}
 */
function matchesLock(root) {
  const locked = readLockedPackages(join(root, "package-lock.json"));
  const installed = readLockedPackages(join(root, "node_modules", ".package-lock.json"));
  if (!locked || !installed) return false;
  const isCurrent = Object.entries(locked).every(([path, wanted]) => {
    const found = installed[path];
    if (path === "") return true;
    if (!found) return wanted.optional === true;
    return found.version === wanted.version && found.integrity === wanted.integrity;
  });
  return isCurrent && Object.keys(installed).every((path) => path in locked);
}

/**
 * @param {string} file
 * @returns {LockedPackages | undefined} Undefined when there is no such file, or a broken one.
 */
function readLockedPackages(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages;
  } catch {
    return undefined;
  }
}
