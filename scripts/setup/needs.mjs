import { SetupError } from "./step.mjs";

/** @typedef {"start" | "test" | "ci"} Mode */

/**
 * What makes a program needless in mode `start`: a flag of haplane, or the environment variable of the same name.
 */
const REPLACED_BY = {
  /** Another HAProxy binary is named. */
  haproxy: { flag: "--haproxy", variable: "HAPLANE_HAPROXY" },
  /** No local Consul is wanted. */
  consul: { flag: "--no-consul", variable: "HAPLANE_NO_CONSUL" },
};

/**
 * @param {string | undefined} word
 * @returns {Mode}
 */
export function parseMode(word) {
  if (word === "start" || word === "test" || word === "ci") return word;
  throw new SetupError(`Unknown mode "${word ?? ""}". Use: node scripts/setup.mjs start|test|ci`);
}

/**
 * Whether a program has to be on this machine.
 *
 * @param {keyof typeof REPLACED_BY} program
 * @param {Mode} mode
 * @param {readonly string[]} args The arguments of haplane.
 * @param {Readonly<Record<string, string | undefined>>} env
 * @returns {boolean}
 */
export function isNeeded(program, mode, args, env) {
  if (mode !== "start") return true;
  const { flag, variable } = REPLACED_BY[program];
  const value = env[variable];
  if (value !== undefined && !["", "0", "false"].includes(value)) return false;
  return !args.some((arg) => arg === flag || arg.startsWith(`${flag}=`));
}
