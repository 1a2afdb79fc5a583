import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { aptCandidate } from "./apt.mjs";
import { findProgram, readSystem, run } from "./host.mjs";
import { SetupError } from "./step.mjs";

/** The oldest HAProxy that haplane works with. */
const OLDEST = { major: 2, minor: 6 };

const BY_HAND = `Install HAProxy ${OLDEST.major}.${OLDEST.minor} or newer, so that \`haproxy\` is on PATH`;
const APT_BY_HAND = "apt-get update && apt-get install -y --no-install-recommends haproxy";

/**
 * HAProxy, from the system's own packages. The service of the package is not started: haplane runs its own HAProxy.
 *
 * @type {import("./step.mjs").Step}
 */
export const haproxy = {
  async isPresent(host) {
    const binary = findProgram(host, "haproxy");
    if (!binary) return false;
    const { output } = await run(host, binary, ["-v"]);
    const version = /version (\d+\.\d+\S*)/.exec(output)?.[1];
    if (version === undefined) {
      throw new SetupError(`${binary} does not say which version it is. ${BY_HAND}.`, output);
    }
    if (isTooOld(version)) throw new SetupError(`HAProxy ${version} at ${binary} is too old. ${BY_HAND}.`);
    return true;
  },

  async install(host) {
    if (!readSystem(host).isDebianFamily || !findProgram(host, "apt-get")) {
      throw new SetupError(`HAProxy is missing. ${BY_HAND}.`);
    }
    if (!host.isRoot) {
      throw new SetupError(
        `HAProxy is missing, and only root can install it. Run: sudo sh -c '${APT_BY_HAND}'`,
      );
    }
    host.say("Installing HAProxy with apt-get; its service is not started.");
    const update = await run(host, "apt-get", ["update", "-q"]);
    const candidate = await aptCandidate(host, "haproxy");
    if (candidate === undefined) {
      throw new SetupError(`The package sources of this system have no HAProxy. ${BY_HAND}.`, update.output);
    }
    if (isTooOld(candidate)) {
      throw new SetupError(`HAProxy ${candidate}, which apt-get would install, is too old. ${BY_HAND}.`);
    }
    const install = await withServiceHeldBack(host, () =>
      run(host, "apt-get", ["install", "-y", "-q", "--no-install-recommends", "haproxy"], {
        env: { DEBIAN_FRONTEND: "noninteractive" },
      }),
    );
    if (!install.ok || !findProgram(host, "haproxy")) {
      throw new SetupError(
        `HAProxy could not be installed; apt-get's own words are above. Mend that, then run: ${APT_BY_HAND}`,
        install.output,
      );
    }
  },
};

/**
 * @param {string} version As HAProxy or Debian writes it.
 * @returns {boolean}
 */
function isTooOld(version) {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  return major < OLDEST.major || (major === OLDEST.major && minor < OLDEST.minor);
}

/**
 * Keeps Debian's package scripts from starting the service `haproxy` while `work` runs, by the means that Debian has for it: an
 * executable named policy-rc.d that answers 101, "not allowed". One that an administrator put there stays in force. Ours
 * is harmless if we die before we remove it: it only answers for this service, and while we live.
 *
 * @template T
 * @param {import("./host.mjs").Host} host
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function withServiceHeldBack(host, work) {
  const file = join(host.sbin, "policy-rc.d");
  const script = `#!/bin/sh
# Written by the set-up of haplane (process ${host.pid}), which removes it when HAProxy is installed.
case " $* " in
  *" haproxy "* | *" haproxy.service "*) kill -0 ${host.pid} 2>/dev/null && exit 101 ;;
esac
exit 0
`;
  try {
    writeFileSync(file, script, { flag: "wx", mode: 0o755 });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return await work();
    throw error;
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}
