/**
 * How long it takes from the call that registers an instance with Consul to the first request that the instance serves, on one connection that asks without a pause
 * (roundrobin), beside an ideal loop that does nothing but query and command. Both have a Consul, an HAProxy and a configuration of their own that are alike, and take turns, so that
 * a busy moment of the machine meets both; the one whose turn it is not is stopped where it stands, and its connection rests, so that neither costs the other anything.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { BenchContext, Measurement } from "../../scripts/bench/bench.ts";
import { endChild } from "../../test/support/child.ts";
import { startConsul, type TestConsul } from "../../test/support/consul.ts";
import { startHaplane } from "../../test/support/haplane.ts";
import { startHaproxy } from "../../test/support/haproxy.ts";
import { freePort } from "../../test/support/ports.ts";
import { waitFor } from "../../test/support/wait.ts";
import { registerInCatalog } from "../catalog.ts";
import { type ClosedLoop, startClosedLoop } from "./closed-loop.ts";

const SERVICE = "app";
const BASE_SERVERS = 3;
const NEW_PORTS = 8;
const WARM_UP_ROUNDS = 20;
const LONG_MS = 120_000;
/** How long one that was stopped gets to find out what happened meanwhile. */
const SETTLE_MS = 20;
/** How long a turn takes: what follows a change (the file, the revision) is over by then. */
const TURN_MS = 150;
/** What the ideal loop reaches on the reference machine. */
const EXPECTED_MS = { p50: 7, p99: 20 };

/** One of the two that are compared. */
interface Contestant {
  readonly consul: TestConsul;
  readonly loop: ClosedLoop;
  /** Names of the servers that its HAProxy has. */
  servers(): Promise<readonly string[]>;
  /** Stops it where it stands, or lets it go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  readonly times: number[];
}

/** How much is measured. */
export interface Extent {
  /** How many services there are, of which one changes. */
  readonly services: number;
  readonly rounds: number;
}

/** The median and the 99th percentile beside the ideal loop's. */
export async function compareWithIdeal(context: BenchContext, extent: Extent): Promise<Measurement[]> {
  const { services, rounds } = extent;
  await using stack = new AsyncDisposableStack();
  const ports = await startApps(stack, BASE_SERVERS + NEW_PORTS);
  const base = ports.slice(0, BASE_SERVERS);
  const fresh = ports.slice(BASE_SERVERS);
  const ideal = await startIdeal(stack, base, services);
  const ours = await startOurs(stack, base, services);
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    const port = fresh[(round + WARM_UP_ROUNDS) % fresh.length] as number;
    for (const contestant of [ideal, ours]) {
      const took = await takeTurn(context, contestant, port);
      if (round >= 0) contestant.times.push(took);
    }
    if (round % 50 === 0) context.log(`round ${round} of ${rounds}`);
  }
  const compare = (name: string, quantile: number, target: number, expectedBound: number): Measurement => ({
    case: `register → first request${services === 1 ? "" : `, ${services} services`}, ${name}`,
    value: quantileOf(ours.times, quantile),
    unit: "ms",
    bound: quantileOf(ideal.times, quantile),
    target,
    expectedBound,
  });
  return [compare("p50", 0.5, 1.5, EXPECTED_MS.p50), compare("p99", 0.99, 2, EXPECTED_MS.p99)];
}

async function takeTurn({ signal }: BenchContext, contestant: Contestant, port: number): Promise<number> {
  signal.throwIfAborted();
  const turn = sleep(TURN_MS);
  contestant.signal("SIGCONT");
  contestant.loop.setActive(true);
  await sleep(SETTLE_MS);
  const took = await measure(contestant, port);
  contestant.loop.setActive(false);
  await turn;
  contestant.signal("SIGSTOP");
  return took;
}

async function measure({ consul, loop, servers }: Contestant, port: number): Promise<number> {
  const id = `new-${port}`;
  const served = loop.firstAnswer(String(port));
  const began = performance.now();
  const registered = consul.register({ id, service: SERVICE, port });
  const took = (await served) - began;
  await registered;
  await consul.deregister(id);
  await waitFor(`${id} to leave`, async () => !(await servers()).some((name) => name.endsWith(id)));
  return took;
}

async function startOurs(
  stack: AsyncDisposableStack,
  base: readonly number[],
  services: number,
): Promise<Contestant> {
  const consul = await startRegistered(stack, base, services);
  const port = await freePort();
  const backend = `consul-backend-${consul.address}-${consul.port}-${SERVICE}`;
  const haplane = await startHaplane((statsSocket) => `${head(statsSocket)}${frontend(port, backend)}`);
  stack.defer(() => haplane.stop());
  const signal = (name: "SIGSTOP" | "SIGCONT") => void process.kill(haplane.pid, name);
  stack.defer(() => signal("SIGCONT"));
  await haplane.call("haplane.v1.ServiceDiscovery/CreateSource", {
    sourceId: "bench",
    source: { consul: { address: consul.address, port: consul.port, maxWatches: Math.max(services, 100) } },
  });
  await waitFor(
    "all services",
    async () =>
      (await haplane.ask("show backend")).split("\n").filter((line) => /^consul-/.test(line)).length ===
      services,
    { timeoutMs: LONG_MS },
  );
  return start(stack, consul, port, signal, () => serverNames(haplane.ask, backend));
}

async function startIdeal(
  stack: AsyncDisposableStack,
  base: readonly number[],
  services: number,
): Promise<Contestant> {
  const consul = await startRegistered(stack, base, services);
  const port = await freePort();
  const servers = base.map((each) => `  server ${nameOf(each)} 127.0.0.1:${each}\n`).join("");
  const haproxy = await startHaproxy(
    `${frontend(port, "ideal")}backend ideal\n${servers}${others(services)}`,
  );
  stack.defer(() => haproxy.stop());
  const args = [String(consul.port), SERVICE, haproxy.statsSocket, "ideal", ...base.map(nameOf)];
  const child = startScript("ideal-loop.ts", args);
  stack.defer(() => endChild(child, "SIGKILL", 0));
  const signal = (name: "SIGSTOP" | "SIGCONT") => void child.kill(name);
  return start(stack, consul, port, signal, () => serverNames(haproxy.ask, "ideal"));
}

/** A Consul with the instances that are there from the beginning. */
async function startRegistered(
  stack: AsyncDisposableStack,
  base: readonly number[],
  services: number,
): Promise<TestConsul> {
  const consul = await startConsul(undefined, ["limits { http_max_conns_per_client = 5000 }"]);
  stack.defer(() => consul.stop());
  for (const service of otherServices(services))
    await registerInCatalog(consul, { node: "others", id: service, service, address: "127.0.0.1", port: 1 });
  for (const port of base) await consul.register({ id: nameOf(port), service: SERVICE, port });
  return consul;
}

/** Waits until traffic flows, and stops the contestant until it is its turn. */
async function start(
  stack: AsyncDisposableStack,
  consul: TestConsul,
  port: number,
  signal: Contestant["signal"],
  servers: Contestant["servers"],
): Promise<Contestant> {
  await waitFor("the first servers", async () => (await servers()).length === BASE_SERVERS);
  const loop = await startClosedLoop(port, "/");
  stack.defer(loop.stop);
  signal("SIGSTOP");
  return { consul, loop, servers, signal, times: [] };
}

function otherServices(services: number): string[] {
  return Array.from({ length: services - 1 }, (_, i) => `other-${i}`);
}

/** The backends of the other services, as haplane has them. */
function others(services: number): string {
  return otherServices(services)
    .map((service) => `backend ${service}\n  server ${service} 127.0.0.1:1\n`)
    .join("");
}

function nameOf(port: number): string {
  return `base-${port}`;
}

async function startApps(stack: AsyncDisposableStack, count: number): Promise<readonly number[]> {
  const child = startScript("apps.ts", [String(count)]);
  stack.defer(() => endChild(child, "SIGKILL", 0));
  const [line] = await once(child.stdout as NonNullable<typeof child.stdout>, "data");
  return JSON.parse(String(line));
}

/** A script of this benchmark in a process of its own. */
function startScript(name: string, args: readonly string[]): ChildProcess {
  const path = fileURLToPath(new URL(name, import.meta.url));
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

/** The backend is named by an expression, since it may not be there yet. */
function frontend(port: number, backend: string): string {
  return `frontend main\n  bind 127.0.0.1:${port}\n  use_backend %[str(${backend})]\n`;
}

function quantileOf(times: readonly number[], quantile: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] as number;
}
