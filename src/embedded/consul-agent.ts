import { type ChildProcess, spawn } from "node:child_process";
import { open, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { type Address, formatAddress } from "../lib/address.ts";
import { makeDirectory } from "../lib/make-directory.ts";
import { endProcess } from "../lib/other-process.ts";
import { StartError } from "../lib/start-error.ts";

/** What the local Consul needs. */
export interface ConsulAgentOptions {
  /** Undefined: none was found, so one has to run already. */
  readonly binary: string | undefined;
  /** Consul's data, log and pid file go below it. */
  readonly directory: string;
  /** Where its HTTP API is to listen. */
  readonly http: Address;
  readonly logger: Logger;
  /** Ends the start when it aborts. */
  readonly signal: AbortSignal;
}

/** A local Consul, started by us now or earlier, or somebody else's. */
export interface ConsulAgent {
  /** `found`: it ran already and is left alone at the end. `ours`: ended by `stop`. */
  readonly origin: "found" | "ours";
  /** Ends it, when it is ours: gracefully, then after 5 s by force. */
  stop(): Promise<void>;
}

const STOP_GRACE_MS = 5_000;
const RESTART_DELAY_MS = 2_000;
const PROBE_TIMEOUT_MS = 1_000;
const FIRST_ANSWER_MS = 2_000;
const POLL_MS = 25;

/**
 * Makes sure that a Consul answers at `http`: one that runs already (ours from an earlier start, or somebody else's), or a new single server that keeps its data in
 * `directory`, so that registrations survive a restart. Returns when it answers; whoever asks it retries until it has a leader. A Consul of ours that dies is started
 * again. It runs in a session of its own: it outlives a haplane that is killed, and the next start finds it.
 */
export async function ensureConsulAgent(options: ConsulAgentOptions): Promise<ConsulAgent> {
  makeDirectory(options.directory, 0o700);
  const earlier = await pidOfEarlierStart(options.directory);
  if (await answers(options.http)) {
    if (earlier === undefined) return { origin: "found", stop: async () => {} };
    return { origin: "ours", stop: () => endProcess(earlier, STOP_GRACE_MS) };
  }
  if (earlier !== undefined) await endProcess(earlier, STOP_GRACE_MS);
  const { binary } = options;
  if (binary === undefined) {
    throw new StartError(
      `no Consul answers at ${formatAddress(options.http)} and no consul was found on PATH; install one, or leave it out with --no-consul`,
    );
  }
  return superviseNew({ ...options, binary });
}

type StartOptions = ConsulAgentOptions & { readonly binary: string };

async function superviseNew(options: StartOptions): Promise<ConsulAgent> {
  const stopping = new AbortController();
  let child = await startConsul(options);
  await firstAnswer(options);
  const supervised = (async () => {
    for (;;) {
      await exited(child);
      if (stopping.signal.aborted) return;
      options.logger.warn({ log: logFile(options.directory) }, "Consul ended; it is started again");
      await delay(RESTART_DELAY_MS, undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
      child = await startConsul(options);
    }
  })();
  return {
    origin: "ours",
    async stop() {
      stopping.abort();
      if (child.pid !== undefined) await endProcess(child.pid, STOP_GRACE_MS);
      await supervised;
    },
  };
}

async function startConsul({ binary, directory, http }: StartOptions): Promise<ChildProcess> {
  const ports = await clusterPorts(directory);
  const log = await open(logFile(directory), "a", 0o600);
  try {
    const child = spawn(
      binary,
      [
        ...["agent", "-server", "-bootstrap-expect=1", "-ui", "-node=local"],
        ...["-bind=127.0.0.1", `-client=${http.host}`, `-http-port=${http.port}`],
        ...[
          "-dns-port=-1",
          `-serf-lan-port=${ports.serfLan}`,
          "-serf-wan-port=-1",
          `-server-port=${ports.server}`,
        ],
        ...[`-data-dir=${join(directory, "data")}`, `-pid-file=${pidFile(directory)}`],
        // Elections of a single local server need not wait as those of a cluster over a network do.
        ...["-hcl=performance { raft_multiplier = 1 }", "-hcl=disable_update_check = true"],
      ],
      { detached: true, stdio: ["ignore", log.fd, log.fd] },
    );
    child.unref();
    return child;
  } finally {
    await log.close();
  }
}

/** Consul's own cluster ports, chosen once per state directory: nobody but itself uses them. */
async function clusterPorts(directory: string): Promise<{ serfLan: number; server: number }> {
  const path = join(directory, "ports.json");
  try {
    return JSON.parse(await readFile(path, "utf8")) as { serfLan: number; server: number };
  } catch {
    const ports = { serfLan: await freePort(), server: await freePort() };
    await writeFile(path, JSON.stringify(ports), { mode: 0o600 });
    return ports;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve, reject) => server.once("listening", resolve).once("error", reject));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("the system gave no port");
  return address.port;
}

/** Waits until a Consul that was started answers: not yet with a leader, but no longer with a refused connection. Gives up without an error; whoever asks it later retries. */
async function firstAnswer({ http, signal }: StartOptions): Promise<void> {
  const deadline = performance.now() + FIRST_ANSWER_MS;
  while (!signal.aborted && performance.now() < deadline && !(await answers(http))) await delay(POLL_MS);
}

async function answers(http: Address): Promise<boolean> {
  try {
    const response = await fetch(`http://${formatAddress(http)}/v1/agent/self`, {
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
    });
    await response.body?.cancel();
    return (
      response.headers.has("x-consul-effective-consistency") ||
      response.status === 200 ||
      response.status === 403
    );
  } catch {
    return false;
  }
}

/** The process of our pid file, if it still runs with this directory's data; a pid that was given to another program since does not count. */
async function pidOfEarlierStart(directory: string): Promise<number | undefined> {
  try {
    const pid = Number(await readFile(pidFile(directory), "utf8"));
    if (!Number.isInteger(pid) || pid <= 1) return undefined;
    const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8");
    return commandLine.split("\0").includes(`-data-dir=${join(directory, "data")}`) ? pid : undefined;
  } catch {
    return undefined;
  }
}

function exited(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once("exit", () => resolve()).once("error", () => resolve());
  });
}

function logFile(directory: string): string {
  return join(directory, "consul.log");
}

function pidFile(directory: string): string {
  return join(directory, "consul.pid");
}
