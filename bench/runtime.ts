/**
 * What the running HAProxy costs by way of haplane: statistics of 10,000 servers each second beside reading and splitting them; 1,000 changes in one call beside the same commands on a raw socket with the same
 * pipelining; a call beside a bare grpc-js handler that sends the same commands.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { create, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import {
  BatchSetServersRequestSchema,
  GetInfoRequestSchema,
  SetServerRequestSchema,
  WatchStatsRequestSchema,
} from "../gen/haplane/v1/runtime_pb.js";
import type { Bench, Measurement } from "../scripts/bench/bench.ts";
import { WINDOW } from "../src/haproxy/command-queue.ts";
import { endChild } from "../test/support/child.ts";
import { startHaplane, type TestHaplane } from "../test/support/haplane.ts";
import { Prompt } from "./runtime/prompt.ts";

const SERVERS = 10_000;
const STATS_SECONDS = 8;
const BATCH = 1_000;
const BATCH_ROUNDS = 40;
/** Before anything counts: both sides are compiled while they run. */
const WARM_UP_ROUNDS = 10;
const CALLS = 3_000;
const CALLERS = 16;
const ROUNDS = 5;

const runtime: Bench = async (context) => {
  await using cleanup = new AsyncDisposableStack();
  const servers = Array.from({ length: SERVERS }, (_none, at) => `    server s${at} 127.0.0.1:9 weight 10\n`);
  const haplane = await startHaplane(
    (statsSocket) => `global
    stats socket ${statsSocket} mode 600 level admin expose-fd listeners
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
backend few
    balance random
    server a 127.0.0.1:9 weight 10
    server b 127.0.0.1:9 weight 10
backend many
    balance roundrobin
${servers.join("")}`,
  );
  cleanup.defer(() => haplane.stop());
  const client = new grpc.Client(
    `unix:${join(haplane.dir, "state", "grpc.sock")}`,
    grpc.credentials.createInsecure(),
    { "grpc.max_receive_message_length": -1 },
  );
  cleanup.defer(() => client.close());
  const metadata = new grpc.Metadata();
  metadata.set(
    "authorization",
    `Bearer ${readFileSync(join(haplane.dir, "state", "admin.token"), "utf8").trim()}`,
  );
  const ours: Side = { client, metadata };

  context.log(`statistics of ${SERVERS} servers`);
  const statistics = await stats(haplane, ours);
  context.log(`${BATCH} changes in one call`);
  const changes = await batch(haplane, ours);
  context.log("one call after another");
  const child = start("bare.ts", join(context.directory, "bare.sock"), haplane.statsSocket);
  cleanup.defer(() => endChild(child, "SIGTERM", 2_000));
  await once(child.stdout!, "data");
  const bare = new grpc.Client(
    `unix:${join(context.directory, "bare.sock")}`,
    grpc.credentials.createInsecure(),
  );
  cleanup.defer(() => bare.close());
  return [...statistics, ...changes, ...(await calls(ours, { client: bare, metadata: new grpc.Metadata() }))];
};

export default runtime;

interface Side {
  readonly client: grpc.Client;
  readonly metadata: grpc.Metadata;
}

const asIs = (bytes: Buffer) => bytes;

async function stats(haplane: TestHaplane, side: Side): Promise<Measurement[]> {
  const reader = start("read-stats.ts", haplane.statsSocket);
  await once(reader.stdout!, "data");
  const bound = await cpuOver(reader.pid as number, STATS_SECONDS);
  await endChild(reader, "SIGTERM", 2_000);
  const idle = await cpuOver(haplane.pid, STATS_SECONDS);
  const request = Buffer.from(toBinary(WatchStatsRequestSchema, create(WatchStatsRequestSchema)));
  let bytes = 0;
  const stream = side.client.makeServerStreamRequest<Buffer, Buffer>(
    ...(["/haplane.v1.Runtime/WatchStats", asIs, asIs, request, side.metadata] as const),
  );
  stream.on("data", (message: Buffer) => {
    bytes += message.length;
  });
  stream.on("error", () => {});
  await once(stream, "data");
  await sleep(2_000);
  const quiet = await cpuOver(haplane.pid, STATS_SECONDS);

  const prompt = new Prompt(haplane.statsSocket);
  const stop = new AbortController();
  const everything = changeAll(prompt, stop.signal);
  await sleep(2_000);
  bytes = 0;
  const busy = await cpuOver(haplane.pid, STATS_SECONDS);
  stop.abort();
  await everything;
  prompt.close();
  stream.cancel();
  const row = { unit: "ms of CPU/s", bound, target: 2 };
  return [
    { case: `${SERVERS} servers streamed, nothing changes`, value: quiet - idle, ...row },
    { case: `${SERVERS} servers streamed, all change`, value: busy - idle, ...row },
    { case: "sent while all change", value: bytes / STATS_SECONDS / 1_024, unit: "KiB/s" },
  ];
}

/** Gives every server another weight each second, past haplane. */
async function changeAll(prompt: Prompt, signal: AbortSignal): Promise<void> {
  for (let weight = 11; !signal.aborted; weight = weight === 11 ? 12 : 11) {
    const next = sleep(1_000);
    const commands = Array.from(
      { length: SERVERS },
      (_none, at) => `set server many/s${at} weight ${weight}`,
    );
    await prompt.askAll(commands, WINDOW);
    await next;
  }
}

async function batch(haplane: TestHaplane, side: Side): Promise<Measurement[]> {
  const prompt = new Prompt(haplane.statsSocket);
  const [oursMs, rawMs]: [number[], number[]] = [[], []];
  for (let round = -WARM_UP_ROUNDS; round < BATCH_ROUNDS; round += 1) {
    const requests = Array.from({ length: BATCH }, (_none, at) => ({
      name: `backends/many/servers/s${at}`,
      weight: 11,
    }));
    const request = Buffer.from(
      toBinary(BatchSetServersRequestSchema, create(BatchSetServersRequestSchema, { requests })),
    );
    const ours = await timed(() => call(side, "/haplane.v1.Runtime/BatchSetServers", request));
    const commands = Array.from({ length: BATCH }, (_none, at) => `set server many/s${at} weight 12`);
    const raw = await timed(() => prompt.askAll(commands, WINDOW));
    if (round < 0) continue;
    oursMs.push(ours);
    rawMs.push(raw);
  }
  prompt.close();
  const rate = (times: readonly number[]) => BATCH / (median(times) / 1_000);
  return [
    {
      ...{ case: `${BATCH} changes in one call`, value: rate(oursMs), unit: "changes/s" },
      ...{ bound: rate(rawMs), target: 0.4, better: "more" },
    },
  ];
}

async function calls(ours: Side, bare: Side): Promise<Measurement[]> {
  const info = Buffer.from(toBinary(GetInfoRequestSchema, create(GetInfoRequestSchema)));
  const set = create(SetServerRequestSchema, { name: "backends/few/servers/a", weight: 10 });
  const setBytes = Buffer.from(toBinary(SetServerRequestSchema, set));
  const setPath = "/haplane.v1.Runtime/SetServer";
  const setSize = (await call(ours, setPath, setBytes)).length;
  const setCommand = "set server few/a weight 10";
  const cases = [
    {
      name: "GetInfo",
      path: "/haplane.v1.Runtime/GetInfo",
      request: info,
      bound: "0\nshow info",
      target: 0.5,
    },
    {
      name: "SetServer",
      ...{ path: setPath, request: setBytes, target: 0.5 },
      // It tells what has become of the server, so it sends two commands.
      bound: `${setSize}\n${setCommand}\nshow servers state few`,
    },
    {
      name: "SetServer beside the command alone",
      ...{ path: setPath, request: setBytes, bound: `0\n${setCommand}` },
    },
  ];
  const measured: Measurement[] = [];
  for (const { name, path, request, bound, target } of cases) {
    const [oursRate, bareRate]: [number[], number[]] = [[], []];
    const bareRequest = Buffer.from(bound);
    for (let round = -1; round < ROUNDS; round += 1) {
      const mine = await rateOf(() => call(ours, path, request));
      const theirs = await rateOf(() => call(bare, "/bare/Ask", bareRequest));
      if (round < 0) continue;
      oursRate.push(mine);
      bareRate.push(theirs);
    }
    measured.push({
      ...{ case: name, value: median(oursRate), unit: "calls/s", bound: median(bareRate) },
      ...{ better: "more", ...(target !== undefined && { target }) },
    });
  }
  return measured;
}

async function rateOf(one: () => Promise<unknown>): Promise<number> {
  let left = CALLS;
  const caller = async () => {
    while (left-- > 0) await one();
  };
  const ms = await timed(() => Promise.all(Array.from({ length: CALLERS }, caller)));
  return CALLS / (ms / 1_000);
}

function call({ client, metadata }: Side, path: string, request: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest<Buffer, Buffer>(path, asIs, asIs, request, metadata, (error, answer) => {
      if (error === null) resolve(answer as Buffer);
      else reject(error);
    });
  });
}

function start(script: string, ...args: readonly string[]): ChildProcess {
  const path = fileURLToPath(new URL(`runtime/${script}`, import.meta.url));
  return spawn(process.execPath, [path, ...args], { stdio: ["ignore", "pipe", "inherit"] });
}

/** Milliseconds of CPU that a process takes in a second. */
async function cpuOver(pid: number, seconds: number): Promise<number> {
  const before = cpuMs(pid);
  await sleep(seconds * 1_000);
  return (cpuMs(pid) - before) / seconds;
}

/** Its CPU time so far; the kernel counts hundredths of a second. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await action();
  return performance.now() - begin;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}
