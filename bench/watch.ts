/**
 * What it costs to tell many subscribers of an event, beside raw HTTP/2 streams that are written the same bytes; what an idle subscriber holds; and whether a fast writer loses anything. Servers are
 * processes of their own and take turns. Events are durable before they are told; the raw streams know no log.
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Bench, BenchContext, Measurement } from "../scripts/bench/bench.ts";
import { type Served, serve } from "./watch/control.ts";
import { type Speech, subscribe } from "./watch/subscribers.ts";

const SUBSCRIBERS = 1_000;
const PER_CONNECTION = 100;
const ROUNDS = 7;
const WARM_UP = 3;
const SINGLES = 20;
const BURSTS = 4;
const BURST = 100;
const FAST_SUBSCRIBERS = 10;
const FAST_PER_MS = 10;
const FAST_SECONDS = 10;

const watch: Bench = async (context) => {
  await using stack = new AsyncDisposableStack();
  const started = async (name: string, script: string, args: readonly string[]) => {
    const served = await serve(name, script, args);
    stack.defer(() => served.end());
    return served;
  };
  const [ourDirectory, rawSocket] = [join(context.directory, "ours"), join(context.directory, "raw.sock")];
  mkdirSync(ourDirectory);
  const ours = await started("haplane", "ours.ts", [ourDirectory]);
  const raw = await started("raw http2", "raw.ts", [rawSocket]);
  const grpcSocket = join(ourDirectory, "grpc.sock");
  const sides = [
    { served: ours, speech: "grpc", socket: grpcSocket },
    { served: raw, speech: "raw", socket: rawSocket },
  ] as const;
  context.log(`${SUBSCRIBERS} subscribers: single events and bursts of ${BURST}`);
  const cpu = await fanOut(context, sides);
  context.log("idle subscribers");
  const memory = await idle(started, context);
  context.log(`${FAST_PER_MS * 1_000} events/s to ${FAST_SUBSCRIBERS} subscribers`);
  const fast = await fastWriter(ours, grpcSocket);
  return [...cpu, ...memory, ...fast];
};

export default watch;

interface Side {
  readonly served: Served;
  readonly speech: Speech;
  readonly socket: string;
}

/** The server's CPU for each event to all subscribers. */
async function fanOut(context: BenchContext, [ours, raw]: readonly [Side, Side]): Promise<Measurement[]> {
  const shapes = [
    { name: "single events", count: SINGLES, size: 1, everyMs: 60, target: 10, expectedBound: 5 },
    { name: `bursts of ${BURST}`, count: BURSTS, size: BURST, everyMs: 250, target: 4, expectedBound: 0.6 },
  ];
  const figures = shapes.map(() => ({ ours: [] as number[], raw: [] as number[] }));
  for (let round = -WARM_UP; round < ROUNDS; round += 1) {
    for (const [which, { served, speech, socket }] of [
      ["ours", ours],
      ["raw", raw],
    ] as const) {
      const subscribers = await subscribe(speech, socket, SUBSCRIBERS, PER_CONNECTION);
      for (const [i, { count, size, everyMs }] of shapes.entries()) {
        const due = subscribers.events + count * size * SUBSCRIBERS;
        const before = await served.cpu();
        await served.publish(count, size, everyMs);
        await subscribers.reached(due);
        const after = await served.cpu();
        if (round >= 0) figures[i]?.[which].push((after - before) / (count * size));
      }
      await subscribers.close();
    }
    context.log(`round ${round + WARM_UP + 1} of ${ROUNDS + WARM_UP}`);
  }
  return shapes.map(({ name, target, expectedBound }, i) => ({
    case: `an event to ${SUBSCRIBERS} subscribers over gRPC, ${name}, CPU`,
    value: median(figures[i]?.ours ?? []),
    unit: "ms",
    bound: median(figures[i]?.raw ?? []),
    target,
    expectedBound,
  }));
}

/** The server's memory for each further subscriber that has got its first message and waits, after garbage is collected and its pages are given back. */
async function idle(
  started: (name: string, script: string, args: readonly string[]) => Promise<Served>,
  { directory, log }: BenchContext,
): Promise<Measurement[]> {
  const cases: readonly [name: string, speech: Speech, perConnection: number, boundKb: number][] = [
    ["gRPC, 100 on a connection", "grpc", 100, 40],
    ["gRPC, a connection each", "grpc", 1, 40],
    ["Connect over HTTP/2, 100 on a connection", "connect-h2", 100, 80],
    ["Connect over HTTP/2, a connection each", "connect-h2", 1, 80],
    ["Connect over HTTP/1.1", "connect-h1", 1, 80],
  ];
  const measurements: Measurement[] = [];
  for (const [i, [name, speech, perConnection, boundKb]] of cases.entries()) {
    const place = join(directory, `idle-${i}`);
    mkdirSync(place);
    const served = await started("haplane", "ours.ts", [place]);
    const socket = join(place, speech === "grpc" ? "grpc.sock" : "connect.sock");
    // Beyond the first ones: what a process grows to by itself is not theirs.
    const first = await subscribe(speech, socket, SUBSCRIBERS, perConnection);
    const before = await served.memory();
    const further = await subscribe(speech, socket, SUBSCRIBERS, perConnection);
    const after = await served.memory();
    await Promise.all([first.close(), further.close()]);
    await served.end();
    const value = (after - before) / SUBSCRIBERS;
    log(`${name}: ${value.toFixed(1)} KB`);
    measurements.push({ case: `an idle subscriber, ${name}`, value, unit: "KB", bound: boundKb, target: 1 });
  }
  return measurements;
}

/** Whether every subscriber gets every event, in order, of a writer that makes ten in a millisecond. */
async function fastWriter(served: Served, socket: string): Promise<Measurement[]> {
  const subscribers = await subscribe("grpc", socket, FAST_SUBSCRIBERS, FAST_SUBSCRIBERS);
  const batches = FAST_SECONDS * 100;
  const due = batches * FAST_PER_MS * 10 * FAST_SUBSCRIBERS;
  const start = performance.now();
  const before = await served.cpu();
  await served.publish(batches, FAST_PER_MS * 10, 10);
  await subscribers.reached(due);
  const seconds = (performance.now() - start) / 1_000;
  const after = await served.cpu();
  const lost = due - subscribers.events + subscribers.gaps;
  await subscribers.close();
  const rate = due / FAST_SUBSCRIBERS / seconds;
  return [
    {
      ...{ case: `durable events to ${FAST_SUBSCRIBERS} subscribers`, value: rate, unit: "events/s" },
      ...{ bound: FAST_PER_MS * 1_000, target: 0.99, better: "more" },
    },
    { case: "of these, lost or out of order", value: lost, unit: "events", bound: 1, target: 0 },
    {
      case: "the server's CPU meanwhile",
      value: (after - before) / seconds / 10,
      unit: "% of a core",
    },
  ];
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
