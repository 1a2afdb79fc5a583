/**
 * Discovery at scale. 1,000 services of the real Consul over shared watches: register → live in HAProxy, with a check that tells which service it was and without, and what haplane costs when nothing
 * happens. Then 5,000 instances of one service that come in one answer, and go again, beside a raw socket that sends the same commands to an HAProxy of its own.
 */

import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Bench, BenchContext, BenchModule, Measurement } from "../scripts/bench/bench.ts";
import { startConsul } from "../test/support/consul.ts";
import { startHaplane, type TestHaplane } from "../test/support/haplane.ts";
import { startHaproxy, type TestHaproxy } from "../test/support/haproxy.ts";
import { residentKb } from "../test/support/process-use.ts";
import { startScriptedConsul } from "../test/support/scripted-consul.ts";
import { waitFor } from "../test/support/wait.ts";
import { registerInCatalog } from "./catalog.ts";
import { compareWithIdeal } from "./propagation/compare.ts";

const SERVICES = 1_000;
/** Instances of each. */
const PER_SERVICE = 10;
const ROUNDS = 20;
const ROUNDS_WITHOUT_CHECK = 5;
const INSTANCES = 5_000;
const GROUP_ROUNDS = 5;
/** What follows a change (the file, the revision) is over by then. */
const GROUP_REST_MS = 2_000;
const IDEAL_ROUNDS = 60;
/** After this time nothing of what happened before is left to do. */
const SETTLE_MS = 5_000;
const IDLE_MS = 20_000;
const LONG_MS = 120_000;
const MEMORY_MB = 300;
const IDLE_PERCENT = 0.2;
const SHARED_MS = 500;

/** With one watch for each service, however many. */
const besideIdeal =
  (services: number): Bench =>
  (context) =>
    compareWithIdeal(context, { services, rounds: IDEAL_ROUNDS });

const discovery: BenchModule = {
  shared: manyServices,
  group: manyInstances,
  "10": besideIdeal(10),
  "100": besideIdeal(100),
  "1000": besideIdeal(1_000),
};

export default discovery;

/** A figure that has to stay below a fixed one. */
function atMost(name: string, value: number, unit: string, limit: number): Measurement {
  return { case: name, value, unit, bound: limit, target: 1 };
}

async function manyServices(context: BenchContext): Promise<Measurement[]> {
  await using stack = new AsyncDisposableStack();
  const consul = await startConsul();
  stack.defer(() => consul.stop());
  for (let i = 0; i < SERVICES * PER_SERVICE; i++) {
    const [service, member] = [i % SERVICES, Math.floor(i / SERVICES)];
    await registerInCatalog(consul, {
      ...{ node: `n${member}`, id: `i-${i}`, service: `s-${service}` },
      ...{ address: `10.${member}.${service >> 8}.${service & 255}`, port: 1_000 },
    });
  }
  context.log(`${SERVICES} services with ${PER_SERVICE} instances each registered`);
  const haplane = await startHaplane(head);
  stack.defer(() => haplane.stop());
  await createSource(haplane, consul);
  const backend = (i: number) => `consul-backend-127.0.0.1-${consul.port}-s-${i}`;
  await waitFor("all services", async () => (await statusOf(haplane)).servers === SERVICES * PER_SERVICE, {
    timeoutMs: LONG_MS,
  });
  context.log("all live");

  const measure = async (round: number, withCheck: boolean): Promise<number> => {
    const i = (round * 37) % SERVICES;
    const id = `new-${withCheck}-${round}`;
    const began = performance.now();
    await consul.register({ id, service: `s-${i}`, port: 5_000, ...(withCheck && { status: "passing" }) });
    await waitFor(id, async () => (await haplane.ask(`show servers state ${backend(i)}`)).includes(id), {
      timeoutMs: LONG_MS,
    });
    return performance.now() - began;
  };
  const checked: number[] = [];
  const unchecked: number[] = [];
  for (let round = 0; round < ROUNDS; round++) checked.push(await measure(round, true));
  // Rounds through all services are made at most every two seconds.
  for (let round = 0; round < ROUNDS_WITHOUT_CHECK; round++) {
    await sleep(2_500);
    unchecked.push(await measure(ROUNDS + round, false));
  }
  await sleep(SETTLE_MS);
  const before = cpuMs(haplane.pid);
  await sleep(IDLE_MS);
  const idle = ((cpuMs(haplane.pid) - before) * 100) / IDLE_MS;
  return [
    atMost(
      "1,000 services, shared: register with a check → live, p50",
      quantileOf(checked, 0.5),
      "ms",
      SHARED_MS,
    ),
    atMost(
      "1,000 services, shared: register with a check → live, p99",
      quantileOf(checked, 0.99),
      "ms",
      SHARED_MS,
    ),
    atMost(
      "1,000 services, shared: register without a check → live, p50",
      quantileOf(unchecked, 0.5),
      "ms",
      SHARED_MS,
    ),
    atMost("1,000 services, idle: share of a core", idle, "%", IDLE_PERCENT),
    atMost(
      "1,000 services, 10,000 instances: resident memory",
      residentKb(haplane.pid) / 1_024,
      "MB",
      MEMORY_MB,
    ),
  ];
}

/** Both take turns, each with an HAProxy of its own, and begin a turn when nothing is left to do of the one before. */
async function manyInstances(context: BenchContext): Promise<Measurement[]> {
  await using stack = new AsyncDisposableStack();
  const instances = Array.from({ length: INSTANCES }, (_, i) => ({
    ...{ id: `i-${i}`, port: 1 + (i % 60_000) },
    address: `10.0.${i >> 8}.${i & 255}`,
  }));
  const ours = await startGroup(stack, instances);
  const bare = await startBareGroup(stack, instances);
  const came = { ours: [] as number[], bare: [] as number[] };
  const went = { ours: [] as number[], bare: [] as number[] };
  for (let round = 0; round < GROUP_ROUNDS; round++) {
    for (const [which, { come, go }] of [["bare", bare] as const, ["ours", ours] as const]) {
      came[which].push(await come());
      await sleep(GROUP_REST_MS);
      went[which].push(await go());
      await sleep(GROUP_REST_MS);
    }
    const last = Object.entries({ came, went }).map(
      ([what, { ours, bare }]) =>
        `${what} in ${Math.round(ours[round]!)} ms (bare ${Math.round(bare[round]!)})`,
    );
    context.log(`${INSTANCES} ${last.join(", ")}`);
  }
  const median = (times: readonly number[]) => quantileOf(times, 0.5);
  const compare = (what: string, { ours, bare }: typeof came): Measurement => ({
    case: `5,000 instances in one answer: all ${what}`,
    ...{ value: median(ours), unit: "ms", bound: median(bare), target: 2 },
  });
  return [compare("live", came), compare("gone", went)];
}

interface Instance {
  readonly id: string;
  readonly address: string;
  readonly port: number;
}

/** Instances that come and go together; how long that takes until HAProxy has followed, in milliseconds. */
interface Group {
  come(): Promise<number>;
  go(): Promise<number>;
}

async function startGroup(stack: AsyncDisposableStack, instances: readonly Instance[]): Promise<Group> {
  const consul = await startScriptedConsul();
  stack.defer(() => consul.stop());
  const base = { id: "base", port: 80, address: "10.1.0.1" };
  consul.set("app", [base]);
  const haplane = await startHaplane(head);
  stack.defer(() => haplane.stop());
  await createSource(haplane, consul);
  await waitFor("the first server", async () => (await statusOf(haplane)).servers === 1);
  const name = `consul-backend-127.0.0.1-${consul.port}-app`;
  return {
    come: () => until(haplane.ask, name, INSTANCES + 1, () => consul.set("app", [base, ...instances])),
    go: () => until(haplane.ask, name, 1, () => consul.set("app", [base])),
  };
}

async function startBareGroup(stack: AsyncDisposableStack, instances: readonly Instance[]): Promise<Group> {
  const haproxy = await startHaproxy(
    `defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\nbackend app\n  server base 10.1.0.1:80\n`,
  );
  stack.defer(() => haproxy.stop());
  const additions = instances.map(
    ({ id, address, port }, i) =>
      `add server app/n-${id} ${address}:${port} id ${i + 2}; enable server app/n-${id}`,
  );
  const removals = instances.map(({ id }) => `set server app/n-${id} state maint; del server app/n-${id}`);
  return {
    come: () => until(haproxy.ask, "app", INSTANCES + 1, () => raw(haproxy, additions)),
    go: () => until(haproxy.ask, "app", 1, () => raw(haproxy, removals)),
  };
}

/** How long it takes after `start` until HAProxy has so many servers. */
async function until(
  ask: TestHaplane["ask"],
  backend: string,
  count: number,
  start: () => void,
): Promise<number> {
  const began = performance.now();
  start();
  const servers = async () =>
    (await ask(`show servers state ${backend}`)).split("\n").filter((line) => line.split(" ")[6] === "0")
      .length;
  await waitFor(`${count} servers`, async () => (await servers()) === count, { timeoutMs: LONG_MS });
  return performance.now() - began;
}

/** Sends all commands at once over one connection, and reads what comes back. */
function raw({ statsSocket }: TestHaproxy, commands: readonly string[]): void {
  const socket = connect({ path: statsSocket });
  socket.resume().write(`prompt\n${commands.join("\n")}\nquit\n`);
}

async function createSource(
  haplane: TestHaplane,
  { address, port }: { address: string; port: number },
): Promise<void> {
  await haplane.call("haplane.v1.ServiceDiscovery/CreateSource", {
    sourceId: "bench",
    source: { consul: { address, port }, acceptLossAfter: "0s" },
  });
}

async function statusOf(haplane: TestHaplane): Promise<{ readonly servers?: number }> {
  const answer = await haplane.call<{ source: { status: { servers?: number } } }>(
    "haplane.v1.ServiceDiscovery/GetSource",
    { name: "sources/bench" },
  );
  return answer.source.status;
}

/** The time that all threads of a process have had, by the scheduler's own clock: the ticks of `stat` are as long as an idle process works in several seconds. */
function cpuMs(pid: number): number {
  const nanoseconds = readdirSync(`/proc/${pid}/task`).map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]),
  );
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e6;
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
