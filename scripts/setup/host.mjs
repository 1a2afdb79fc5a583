import { spawn } from "node:child_process";
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * What set-up knows of the machine, and how it acts on it.
 *
 * @typedef {object} Host
 * @property {string} root The checkout.
 * @property {string} tools Git-ignored directory below it, for programs that set-up unpacks.
 * @property {string} etc Where `os-release` is.
 * @property {string} sbin Where Debian looks for `policy-rc.d`.
 * @property {Readonly<Record<string, string | undefined>>} env
 * @property {readonly string[]} path Directories where programs are looked for. The checkout's own `node_modules/.bin` is not
 *   among them: npm is about to replace what is there.
 * @property {boolean} isRoot
 * @property {number} pid
 * @property {(line: string) => void} say Tells the person at the terminal something, in one line.
 */

/**
 * @typedef {object} Outcome
 * @property {boolean} ok Whether the command ran and exited with 0.
 * @property {string} output What it printed, on both streams.
 */

/** Directories that hold system programs and are often not on a user's PATH. */
const SYSTEM_DIRECTORIES = ["/usr/local/sbin", "/usr/sbin"];

/**
 * @param {object} machine
 * @param {string} machine.root
 * @param {Readonly<Record<string, string | undefined>>} machine.env
 * @param {number | undefined} machine.uid Undefined where users have no numbers.
 * @param {number} machine.pid
 * @param {(line: string) => void} machine.say
 * @returns {Host}
 */
export function createHost({ root, env, uid, pid, say }) {
  const own = join(root, "node_modules", ".bin");
  const path = (env.PATH ?? "").split(delimiter).filter((directory) => directory !== "" && directory !== own);
  for (const directory of SYSTEM_DIRECTORIES) if (!path.includes(directory)) path.push(directory);
  return {
    root,
    tools: join(root, ".haplane", "tools"),
    etc: "/etc",
    sbin: "/usr/sbin",
    env,
    path,
    isRoot: uid === 0,
    pid,
    say,
  };
}

/**
 * Finds a program as a shell would.
 *
 * @param {Host} host
 * @param {string} name
 * @returns {string | undefined} Its full path.
 */
export function findProgram(host, name) {
  return host.path.map((directory) => join(directory, name)).find(isExecutable);
}

/**
 * @param {string} file
 * @returns {boolean}
 */
export function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/**
 * Runs a command to its end, without input. A program that cannot be started is an outcome too.
 *
 * @param {Host} host
 * @param {string} command A program's name or path.
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: Readonly<Record<string, string>> }} [options] Where it runs (default: the checkout), and what
 *   its environment has besides ours.
 * @returns {Promise<Outcome>}
 */
export function run(host, command, args, { cwd = host.root, env = {} } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...host.env, PATH: host.path.join(delimiter), ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const collect = (/** @type {string} */ text) => {
      output += text;
    };
    child.stdout.setEncoding("utf8").on("data", collect);
    child.stderr.setEncoding("utf8").on("data", collect);
    child.on("error", (error) => resolve({ ok: false, output: `${output}${error.message}` }));
    child.on("close", (code) => resolve({ ok: code === 0, output }));
  });
}

/**
 * Reads which system this is.
 *
 * @param {Host} host
 * @returns {{ id: string, codename: string, isDebianFamily: boolean }} `id` is "debian", "ubuntu", …; empty when unknown.
 */
export function readSystem(host) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const line of readIfThere(join(host.etc, "os-release")).split("\n")) {
    const match = /^([A-Z_]+)=["']?(.*?)["']?$/.exec(line);
    if (match?.[1] !== undefined) fields[match[1]] = match[2] ?? "";
  }
  const id = fields.ID ?? "";
  return {
    id,
    codename: fields.VERSION_CODENAME ?? "",
    isDebianFamily: [id, ...(fields.ID_LIKE ?? "").split(" ")].includes("debian"),
  };
}

/**
 * @param {string} file
 * @returns {string} Its text; empty when it cannot be read.
 */
function readIfThere(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
