/**
 * How long it takes from the call that registers an instance with Consul to the first request that the instance serves, on one connection that asks without a pause
 * (roundrobin), beside an ideal loop that does nothing but query and command. Both have an HAProxy and a service of their own and take turns, so that a busy moment of the machine
 * meets both; the one whose turn it is not is stopped where it stands, so that neither costs the other anything.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Bench, BenchContext, Measurement } from "../scripts/bench/bench.ts";
import { endChild } from "../test/support/child.ts";
import { startConsul, type TestConsul } from "../test/support/consul.ts";
import { startHaplane } from "../test/support/haplane.ts";
import { startHaproxy } from "../test/support/haproxy.ts";
import { freePort } from "../test/support/ports.ts";
import { waitFor } from "../test/support/wait.ts";
import { type ClosedLoop, startClosedLoop } from "./propagation/closed-loop.ts";

const BASE_SERVERS = 3;
const NEW_PORTS = 8;
const ROUNDS = 300;
const WARM_UP_ROUNDS = 20;
/** How long one that was stopped gets to find out what happened meanwhile. */
const SETTLE_MS = 20;
/** How long a turn takes: what follows a change (the file, the revision) is over by then. */
const TURN_MS = 150;
/** What the ideal loop reaches on the reference machine. */
const EXPECTED_MS = { p50: 7, p99: 20 };

/** One of the two that are compared. */
interface Contestant {
  readonly service: string;
  readonly loop: ClosedLoop;
  /** Names of the servers that its HAProxy has. */
  servers(): Promise<readonly string[]>;
  /** Stops it where it stands, or lets it go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  readonly times: number[];
}

const propagation: Bench = async (context) => {
  await using stack = new AsyncDisposableStack();
  const consul = await startConsul();
  stack.defer(() => consul.stop());
  const ports = await startApps(stack, BASE_SERVERS + NEW_PORTS);
  const base = ports.slice(0, BASE_SERVERS);
  const fresh = ports.slice(BASE_SERVERS);
  for (const service of ["ours", "ideal"]) {
    for (const port of base) await consul.register({ id: `${service}-${port}`, service, port });
  }
  const ideal = await startIdeal(stack, consul);
  const ours = await startOurs(stack, consul);
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
    const port = fresh[(round + WARM_UP_ROUNDS) % fresh.length] as number;
    for (const contestant of [ideal, ours]) {
      const took = await takeTurn(context, consul, contestant, port);
      if (round >= 0) contestant.times.push(took);
    }
    if (round % 50 === 0) context.log(`round ${round} of ${ROUNDS}`);
  }
  const compare = (name: string, quantile: number, target: number, expectedBound: number): Measurement => ({
    case: `register → first request, ${name}`,
    value: quantileOf(ours.times, quantile),
    unit: "ms",
    bound: quantileOf(ideal.times, quantile),
    target,
    expectedBound,
  });
  return [compare("p50", 0.5, 1.5, EXPECTED_MS.p50), compare("p99", 0.99, 2, EXPECTED_MS.p99)];
};

export default propagation;

async function takeTurn(
  { signal }: BenchContext,
  consul: TestConsul,
  contestant: Contestant,
  port: number,
): Promise<number> {
  signal.throwIfAborted();
  const turn = sleep(TURN_MS);
  contestant.signal("SIGCONT");
  await sleep(SETTLE_MS);
  const took = await measure(consul, contestant, port);
  await turn;
  contestant.signal("SIGSTOP");
  return took;
}

async function measure(consul: TestConsul, contestant: Contestant, port: number): Promise<number> {
  const { service, loop } = contestant;
  const id = `${service}-new-${port}`;
  const served = loop.firstAnswer(String(port));
  const began = performance.now();
  const registered = consul.register({ id, service, port });
  const took = (await served) - began;
  await registered;
  await consul.deregister(id);
  await waitFor(
    `${id} to leave`,
    async () => !(await contestant.servers()).some((name) => name.endsWith(id)),
  );
  return took;
}

async function startOurs(stack: AsyncDisposableStack, consul: TestConsul): Promise<Contestant> {
  const port = await freePort();
  const backend = `consul-backend-${consul.address}-${consul.port}-ours`;
  const haplane = await startHaplane(
    (statsSocket) => `${head(statsSocket)}
frontend main
  bind 127.0.0.1:${port}
  use_backend consul-backend-${consul.address}-${consul.port}-%[path,field(2,/)]
`,
  );
  stack.defer(() => haplane.stop());
  stack.defer(() => void process.kill(haplane.pid, "SIGCONT"));
  await haplane.call("haplane.v1.ServiceDiscovery/CreateSource", {
    sourceId: "bench",
    source: { consul: { address: consul.address, port: consul.port } },
  });
  const servers = () => serverNames(haplane.ask, backend);
  await waitFor("haplane's servers", async () => (await servers()).length === BASE_SERVERS);
  const loop = await startClosedLoop(port, "/ours/");
  stack.defer(loop.stop);
  const signal = (name: "SIGSTOP" | "SIGCONT") => void process.kill(haplane.pid, name);
  signal("SIGSTOP");
  return { service: "ours", loop, servers, signal, times: [] };
}

async function startIdeal(stack: AsyncDisposableStack, consul: TestConsul): Promise<Contestant> {
  const port = await freePort();
  const haproxy = await startHaproxy(
    `frontend main\n  bind 127.0.0.1:${port}\n  default_backend ideal\nbackend ideal\n  balance roundrobin`,
  );
  stack.defer(() => haproxy.stop());
  const child = startScript("ideal-loop.ts", [String(consul.port), "ideal", haproxy.statsSocket, "ideal"]);
  stack.defer(() => endChild(child, "SIGKILL", 0));
  const servers = () => serverNames(haproxy.ask, "ideal");
  await waitFor("the ideal loop's servers", async () => (await servers()).length === BASE_SERVERS);
  const loop = await startClosedLoop(port, "/ideal/");
  stack.defer(loop.stop);
  const signal = (name: "SIGSTOP" | "SIGCONT") => void child.kill(name);
  signal("SIGSTOP");
  return { service: "ideal", loop, servers, signal, times: [] };
}

async function startApps(stack: AsyncDisposableStack, count: number): Promise<readonly number[]> {
  const child = startScript("apps.ts", [String(count)]);
  stack.defer(() => endChild(child, "SIGKILL", 0));
  const [line] = await once(child.stdout as NonNullable<typeof child.stdout>, "data");
  return JSON.parse(String(line));
}

/** A script of this benchmark in a process of its own. */
function startScript(name: string, args: readonly string[]): ChildProcess {
  const path = fileURLToPath(new URL(`propagation/${name}`, import.meta.url));
  return spawn(process.execPath, [path, ...args], { stdio: ["pipe", "pipe", "inherit"] });
}

async function serverNames(ask: (command: string) => Promise<string>, backend: string): Promise<string[]> {
  const lines = (await ask(`show servers state ${backend}`)).split("\n").slice(2);
  return lines.map((line) => line.split(" ")[3] as string);
}

function head(statsSocket: string): string {
  return `global
  stats socket ${statsSocket} mode 600 level admin expose-fd listeners
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s
`;
}

function quantileOf(times: readonly number[], quantile: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] as number;
}
