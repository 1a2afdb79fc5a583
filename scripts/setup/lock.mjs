import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

/** How often a waiting set-up looks whether the other one has ended, in milliseconds. */
const POLL_INTERVAL = 200;

/**
 * Runs `work` while holding this checkout's set-up lock, a file with the holder's process id. The lock of a process that is no
 * more is taken over.
 *
 * @param {import("./host.mjs").Host} host
 * @param {() => Promise<void>} work
 * @returns {Promise<void>}
 */
export async function withLock(host, work) {
  mkdirSync(host.tools, { recursive: true });
  const file = join(host.tools, "setup.lock");
  let waitsFor;
  for (;;) {
    if (tryCreate(file, host.pid)) break;
    const holder = readHolder(file);
    if (holder === undefined) continue;
    if (!isAlive(holder)) {
      rmSync(file, { force: true });
      continue;
    }
    if (waitsFor !== holder) host.say(`Waiting for another set-up (process ${holder}) to end.`);
    waitsFor = holder;
    await sleep(POLL_INTERVAL);
  }
  try {
    await work();
  } finally {
    rmSync(file, { force: true });
  }
}

/**
 * @param {string} file
 * @param {number} pid
 * @returns {boolean} Whether the file was created; false when it was there.
 */
function tryCreate(file, pid) {
  try {
    writeFileSync(file, `${pid}\n`, { flag: "wx" });
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  }
}

/**
 * @param {string} file
 * @returns {number | undefined} The process that holds the lock; undefined when it was given back meanwhile.
 */
function readHolder(file) {
  try {
    // An empty file is a holder between creating and writing: 0 is "ourselves" to kill(2), so it counts as alive.
    return Number(readFileSync(file, "utf8"));
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

/**
 * @param {number} pid
 * @returns {boolean}
 */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, "EPERM");
  }
}

/**
 * @param {unknown} error
 * @param {string} code
 * @returns {boolean}
 */
function hasCode(error, code) {
  return error instanceof Error && "code" in error && error.code === code;
}
