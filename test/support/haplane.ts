import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endProcess } from "../../src/lib/other-process.ts";
import { endChild } from "./child.ts";
import { askOnce, haproxyBinary } from "./haproxy.ts";
import { root } from "./programs.ts";
import { readPids } from "./start.ts";
import { waitFor } from "./wait.ts";

/** Longer than haplane and HAProxy take to end in order. */
const GRACE_MS = 15_000;

/** The same of a start, on a machine that is busy. */
const START_MS = 60_000;

/** A haplane process with its HAProxy, as `haplane serve` runs them. */
export interface TestHaplane {
  /** Everything is below it; removed by `stop`. */
  readonly dir: string;
  /** The haproxy.cfg. */
  readonly config: string;
  readonly statsSocket: string;
  readonly pid: number;
  /** Where it listens on 127.0.0.1. */
  readonly ports: { readonly grpc: number; readonly connect: number };
  /** Calls a unary method with JSON over Connect, as admin. Rejects with the error's code and message. */
  call<T>(method: string, message?: object): Promise<T>;
  /** What `/metrics` says. */
  metrics(): Promise<string>;
  /** Sends one command to HAProxy's stats socket. */
  ask(command: string): Promise<string>;
  /** The worker that accepts connections, and how often HAProxy was reloaded. */
  worker(): Promise<{ readonly pid: number; readonly reloads: number }>;
  /** What haplane has logged. */
  log(): string;
  /** Kills haplane as it stands, lets `meanwhile` happen, starts it again and waits until it answers. */
  crash(meanwhile?: () => Promise<void>): Promise<void>;
  /** Stops haplane in order, starts it again and waits until it answers. */
  restart(): Promise<void>;
  /** Ends haplane, then HAProxy, and removes their directory. */
  stop(): Promise<void>;
}

/** How a haplane is run. */
export interface HaplaneProgram {
  /** Default: this Node and src/main.ts. */
  readonly command?: readonly [string, ...string[]];
  /** Variables beside those of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Where everything is to be below, which is removed in the end. Default: a new one. */
  readonly dir?: string;
  /** Default: a new one. */
  readonly stateDir?: string;
}

/** Starts haplane on a configuration, whose stats socket is to be at the path that it is given, with further arguments, and waits until it answers. */
export async function startHaplane(
  configure: (statsSocket: string) => string,
  args: readonly string[] = [],
  program: HaplaneProgram = {},
): Promise<TestHaplane> {
  const { command: [file, ...before] = [process.execPath, join(root, "src", "main.ts")], environment } =
    program;
  const dir = program.dir ?? mkdtempSync(join(tmpdir(), "haplane-"));
  const config = join(dir, "haproxy.cfg");
  const statsSocket = join(dir, "stats.sock");
  const stateDir = program.stateDir ?? join(dir, "state");
  const logFile = join(dir, "haplane.log");
  writeFileSync(config, configure(statsSocket));
  const command = [
    ...[...before, "serve", `--state-dir=${stateDir}`, `--config=${config}`],
    ...["ssl-certs", "maps", "general", "spoe"].map((name) => `--${name}-dir=${join(dir, name)}`),
    ...["--grpc=127.0.0.1:0", "--connect=127.0.0.1:0", `--haproxy=${haproxyBinary}`],
    ...args,
  ];
  const launch = () => {
    const log = openSync(logFile, "a", 0o600);
    const launched = spawn(file, command, {
      env: { ...process.env, ...environment },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    return launched;
  };
  let child = launch();
  const ask = (command: string) => askOnce(statsSocket, command);
  const readLog = () => readFileSync(logFile, "utf8");

  async function call<T>(method: string, message: object = {}): Promise<T> {
    const token = readFileSync(join(stateDir, "admin.token"), "utf8").trim();
    return callJson<T>(join(stateDir, "connect.sock"), method, message, token);
  }

  async function metrics(): Promise<string> {
    const token = readFileSync(join(stateDir, "admin.token"), "utf8").trim();
    return getText(join(stateDir, "connect.sock"), "/metrics", token);
  }

  const proc = async () => readProc(await askOnce(join(stateDir, "haproxy-master.sock"), "show proc"));

  async function worker() {
    const { workerPid, reloads } = await proc();
    return { pid: workerPid, reloads };
  }

  async function stop(): Promise<void> {
    const { masterPid } = await proc().catch(() => ({ masterPid: readPids(stateDir).haproxy }));
    await endChild(child, "SIGTERM", GRACE_MS);
    // haplane leaves its HAProxy serving.
    if (masterPid !== undefined) await endProcess(masterPid, GRACE_MS);
    rmSync(dir, { recursive: true, force: true });
  }

  const untilAnswering = () =>
    waitFor(
      "haplane to answer",
      async () => {
        if (child.exitCode !== null) throw new Error(`haplane ended: ${readLog()}`);
        await call("haplane.v1.ServiceDiscovery/ListSources");
        return (await ask("show version")) !== "";
      },
      { timeoutMs: START_MS },
    );

  async function crash(meanwhile = async () => {}): Promise<void> {
    await endChild(child, "SIGKILL", 0);
    await meanwhile();
    child = launch();
    await untilAnswering();
  }

  async function restart(): Promise<void> {
    await endChild(child, "SIGTERM", GRACE_MS);
    child = launch();
    await untilAnswering();
  }

  try {
    await untilAnswering();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ...{ dir, config, statsSocket, call, metrics, ask, worker, log: readLog, crash, restart, stop },
    get pid() {
      return child.pid as number;
    },
    get ports() {
      return portsIn(readLog());
    },
  };
}

/** The ports that a haplane said last that it listens on. */
function portsIn(log: string) {
  const portOf = (name: string) =>
    Number(
      [...log.matchAll(new RegExp(`"${name}":\\{"kind":"tcp","host":"127.0.0.1","port":(\\d+)`, "g"))].at(
        -1,
      )?.[1],
    );
  return { grpc: portOf("grpc"), connect: portOf("connect") };
}

/** One call over a UNIX socket. */
function callJson<T>(socketPath: string, method: string, message: object, token: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const sent = request({
      socketPath,
      path: `/${method}`,
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    });
    sent.on("error", reject);
    sent.on("response", async (response) => {
      let text = "";
      for await (const chunk of response.setEncoding("utf8")) text += chunk;
      if (response.statusCode === 200) resolve(JSON.parse(text) as T);
      else reject(new Error(`${method}: ${response.statusCode} ${text}`));
    });
    sent.end(JSON.stringify(message));
  });
}

/** One page over a UNIX socket. */
function getText(socketPath: string, path: string, token: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, headers: { authorization: `Bearer ${token}` } });
    sent.on("error", reject);
    sent.on("response", async (response) => {
      let text = "";
      for await (const chunk of response.setEncoding("utf8")) text += chunk;
      if (response.statusCode === 200) resolve(text);
      else reject(new Error(`${path}: ${response.statusCode} ${text}`));
    });
    sent.end();
  });
}

/** Reads `show proc` of a master. */
function readProc(text: string) {
  const master = /^(\d+)\s+master\s+(\d+)/m.exec(text);
  const workers = /# workers\n(\d+)/.exec(text);
  if (master === null || workers === null) throw new Error(`not the answer of a master: ${text}`);
  return { masterPid: Number(master[1]), reloads: Number(master[2]), workerPid: Number(workers[1]) };
}
