import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { askOnce as askSocket } from "../../src/haproxy/ask-once.ts";
import { waitFor } from "./wait.ts";

/** The HAProxy that tests run with; another version can be named in the environment. */
export const haproxyBinary = process.env.HAPLANE_TEST_HAPROXY ?? "/usr/sbin/haproxy";

/** Where a test's HAProxy has its files. */
export interface HaproxyPaths {
  /** A directory of its own, removed by `stop`. */
  readonly dir: string;
  readonly config: string;
  readonly statsSocket: string;
  readonly masterSocket: string;
  /** What HAProxy prints. */
  readonly log: string;
}

/** An HAProxy that runs for one test. */
export interface TestHaproxy extends HaproxyPaths {
  readonly masterPid: number;
  /** Sends one command to the stats socket on a connection of its own. */
  ask(command: string): Promise<string>;
  /** Sends one command to the master socket on a connection of its own. */
  askMaster(command: string): Promise<string>;
  /** Process id of the worker that accepts connections. */
  workerPid(): Promise<number>;
  writeConfig(body: string): void;
  /** Ends it and removes its directory. */
  stop(): Promise<void>;
}

/** Makes a temporary directory with the usual names in it. */
export function haproxyPaths(): HaproxyPaths {
  const dir = mkdtempSync(join(tmpdir(), "haplane-haproxy-"));
  return {
    dir,
    config: join(dir, "haproxy.cfg"),
    statsSocket: join(dir, "stats.sock"),
    masterSocket: join(dir, "master.sock"),
    log: join(dir, "haproxy.log"),
  };
}

/** A configuration with a stats socket and sensible timeouts in front of `body`, which begins with a section. */
export function testConfig({ statsSocket }: Pick<HaproxyPaths, "statsSocket">, body: string): string {
  return `global
  stats socket ${statsSocket} mode 600 level admin expose-fd listeners
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s
${body}
`;
}

/**
 * Starts an HAProxy in master-worker mode with `body` below `testConfig`'s head, and waits until it answers. A body that needs
 * files or paths is a function.
 */
export async function startHaproxy(body: string | ((paths: HaproxyPaths) => string)): Promise<TestHaproxy> {
  const paths = haproxyPaths();
  const writeConfig = (text: string) => writeFileSync(paths.config, testConfig(paths, text));
  writeConfig(typeof body === "string" ? body : body(paths));
  const log = openSync(paths.log, "a", 0o600);
  const child = spawn(haproxyBinary, ["-W", "-S", `${paths.masterSocket},mode,600`, "-f", paths.config], {
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  const stop = async () => {
    await end(child);
    rmSync(paths.dir, { recursive: true, force: true });
  };
  const ask = (command: string) => askOnce(paths.statsSocket, command);
  const askMaster = (command: string) => askOnce(paths.masterSocket, command);
  const workerPid = async () => Number(/# workers\n(\d+)/.exec(await askMaster("show proc"))?.[1] ?? 0);
  try {
    await waitFor("HAProxy to answer", async () => {
      if (child.exitCode !== null) throw new Error(`HAProxy ended: ${readFileSync(paths.log, "utf8")}`);
      return (await ask("show version")) !== "" && (await workerPid()) > 0;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { ...paths, masterPid: child.pid as number, ask, askMaster, workerPid, writeConfig, stop };
}

/** Sends one command to a socket, on a machine that is busy. */
export function askOnce(socketPath: string, command: string): Promise<string> {
  return askSocket(socketPath, command, { timeoutMs: 10_000, maxBytes: 64 * 1024 * 1024 });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 3_000);
  await exited;
  clearTimeout(timer);
}
