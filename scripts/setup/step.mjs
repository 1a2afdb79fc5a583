import { withLock } from "./lock.mjs";

/**
 * One thing that set-up provides.
 *
 * @typedef {object} Step
 * @property {(host: import("./host.mjs").Host) => boolean | Promise<boolean>} isPresent Whether nothing has to be done; quick.
 * @property {(host: import("./host.mjs").Host) => Promise<void>} install Provides it, or throws a SetupError.
 */

/** What set-up could not do; the message says in one sentence why, and in another what to do by hand. */
export class SetupError extends Error {
  /**
   * @param {string} message
   * @param {string} [output] What the failed command printed.
   */
  constructor(message, output) {
    super(message);
    this.name = "SetupError";
    this.output = output;
  }
}

/**
 * Runs a step unless its result is there. Only one set-up of a checkout installs at a time: `npm start` and `npm test` in two
 * terminals of a fresh clone do not get into each other's way.
 *
 * @param {import("./host.mjs").Host} host
 * @param {Step} step
 * @returns {Promise<void>}
 */
export async function ensure(host, step) {
  if (await step.isPresent(host)) return;
  await withLock(host, async () => {
    if (!(await step.isPresent(host))) await step.install(host);
  });
}
