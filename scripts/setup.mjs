/**
 * Installs what this checkout needs and the machine lacks: `node scripts/setup.mjs MODE [ARGS]`.
 *
 * MODE is `start` (ARGS are those of the program: what they make needless is left out), `test` (all that the tests need)
 * or `ci` (also real gRPC clients, where Go and Python are there, and other versions of HAProxy, where Debian's packages can be had). Plain JavaScript without a dependency, since it runs on
 * whatever Node the machine has, before anything is installed. When nothing is missing it says nothing.
 */

import process from "node:process";
import { fileURLToPath } from "node:url";
import { grpcurl, pythonClient } from "./setup/clients.mjs";
import { consul } from "./setup/consul.mjs";
import { haproxy } from "./setup/haproxy.mjs";
import { createHost } from "./setup/host.mjs";
import { isNeeded, parseMode } from "./setup/needs.mjs";
import { otherHaproxy } from "./setup/other-haproxy.mjs";
import { packages } from "./setup/packages.mjs";
import { ensure, SetupError } from "./setup/step.mjs";

const host = createHost({
  root: fileURLToPath(new URL("..", import.meta.url)),
  env: process.env,
  uid: process.getuid?.(),
  pid: process.pid,
  say: (line) => process.stderr.write(`set-up: ${line}\n`),
});

try {
  if (Number.parseInt(process.versions.node, 10) < 20) {
    throw new SetupError(`Node ${process.versions.node} is too old. Install Node 20 or newer, with npm.`);
  }
  const mode = parseMode(process.argv[2]);
  const args = process.argv.slice(3);
  // All that is missing is said at once, and what needs a person before what takes its time.
  if (isNeeded("haproxy", mode, args, host.env)) await attempt(haproxy);
  if (isNeeded("consul", mode, args, host.env)) await attempt(consul);
  await attempt(packages);
  const optional = mode === "ci" ? [grpcurl, pythonClient, otherHaproxy("trixie"), otherHaproxy("sid")] : [];
  for (const step of optional) await attemptOptional(step);
} catch (error) {
  report(error);
}

/** @param {import("./setup/step.mjs").Step} step */
async function attempt(step) {
  await ensure(host, step).catch(report);
}

/** @param {import("./setup/step.mjs").Step} step */
async function attemptOptional(step) {
  await ensure(host, step).catch((error) => {
    if (!(error instanceof SetupError)) throw error;
    host.say(error.message);
  });
}

/**
 * Tells the person what went wrong, and fails the whole; what nobody foresaw stays an exception.
 *
 * @param {unknown} error
 */
function report(error) {
  // A system error is a sentence already: "EACCES: permission denied, mkdir '…/.haplane'".
  const isExplained = error instanceof SetupError || (error instanceof Error && "syscall" in error);
  if (!isExplained) throw error;
  if (error instanceof SetupError && error.output) process.stderr.write(excerpt(error.output));
  host.say(error.message);
  process.exitCode = 1;
}

/**
 * The beginning and the end of what a failed command printed: npm says what is wrong in its first lines, apt-get in its last.
 *
 * @param {string} output
 * @returns {string}
 */
function excerpt(output) {
  const lines = output.trim().split("\n");
  const shown = lines.length <= 24 ? lines : [...lines.slice(0, 12), "…", ...lines.slice(-12)];
  return shown.map((line) => `  | ${line}\n`).join("");
}
