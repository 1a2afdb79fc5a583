import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { afterEach, describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { status as Code } from "@grpc/grpc-js";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { waitFor } from "../../support/wait.ts";
import { ClientError, type EchoClient, stacks } from "./clients.ts";
import { startEdge, type TestEdge, tokens } from "./harness.ts";
import { openRaw, openSocket } from "./raw-http2.ts";

const token = tokens.admin;
let edge: TestEdge;
afterEach(() => edge.close());

/** How much later than its bound a shutdown may end: the flush of a quarter second, and a busy machine. */
const SLACK_MS = 1_500;

async function closeWithin(graceMs: number): Promise<number> {
  const began = performance.now();
  await edge.close(graceMs);
  const took = performance.now() - began;
  assert.ok(took < graceMs + SLACK_MS, `it took ${took} ms`);
  return took;
}

function stopping(error: unknown): boolean {
  assert.ok(error instanceof ClientError, String(error));
  assert.equal(error.code, Code.UNAVAILABLE);
  assert.equal(
    fromBinary(ErrorInfoSchema, error.details[0]?.[1] ?? new Uint8Array()).reason,
    "SHUTTING_DOWN",
  );
  return true;
}

const openClients = (): EchoClient[] => stacks.map((stack) => stack.open(edge.places[stack.place]));

test("watches end at once with UNAVAILABLE, also those that are parked", async () => {
  edge = await startEdge();
  const freed: string[] = [];
  edge.handlers.watch = async function* ({ value }, { signal }) {
    signal.addEventListener("abort", () => freed.push(value));
    yield { value: "first" };
    await new Promise(() => {});
  };
  const clients = openClients();
  const watches = clients.map((client, index) =>
    client.watch(stacks[index]?.name ?? "", { token })[Symbol.asyncIterator](),
  );
  await Promise.all(watches.map((values) => values.next()));
  const ends = Promise.all(watches.map((values) => assert.rejects(values.next(), stopping)));
  assert.ok((await closeWithin(10_000)) < 3_000, "nothing waits for the grace period");
  await ends;
  assert.deepEqual(freed.sort(), stacks.map(({ name }) => name).sort());
  for (const client of clients) client.close();
});

test("calls under way are finished", async () => {
  edge = await startEdge();
  const waiting: (() => void)[] = [];
  edge.handlers.say = ({ value }) => new Promise((resolve) => waiting.push(() => resolve({ value })));
  const clients = openClients();
  const answers = Promise.all(clients.map((client) => client.unary("Say", "done", { token })));
  await waitFor("the calls to arrive", () => waiting.length === clients.length);
  const closed = closeWithin(10_000);
  for (const answer of waiting) answer();
  assert.deepEqual([...new Set(await answers)], ["done"]);
  assert.ok((await closed) < 3_000);
  for (const client of clients) client.close();
});

test("calls that do not finish are ended with UNAVAILABLE when the time is up", async () => {
  edge = await startEdge();
  const signals: AbortSignal[] = [];
  edge.handlers.say = (_request, { signal }) => {
    signals.push(signal);
    return new Promise(() => {});
  };
  const clients = openClients();
  const answers = clients.map((client) => client.unary("Say", "", { token }));
  const ends = Promise.all(answers.map((answer) => assert.rejects(answer, stopping)));
  await waitFor("the calls to arrive", () => signals.length === clients.length);
  assert.ok((await closeWithin(300)) >= 300);
  await ends;
  assert.ok(signals.every(({ aborted }) => aborted));
  for (const client of clients) client.close();
});

test("peers that do nothing, or read nothing, hold nothing up", async () => {
  edge = await startEdge();
  edge.handlers.watch = async function* () {
    for (;;) yield { value: "x".repeat(64 * 1024) };
  };
  const clients = openClients();
  for (const client of clients) await client.watch("", { token })[Symbol.asyncIterator]().next();
  const { grpc, grpcSocket, connect, connectSocket } = edge.places;
  const silent = await Promise.all([grpc, grpcSocket, connect, connectSocket].map(openSocket));
  const idle = await Promise.all([grpc, grpcSocket, connect, connectSocket].map(openRaw));
  for (const socket of silent) socket.resume();
  await closeWithin(500);
  await waitFor("every connection to be closed", () =>
    [...silent, ...idle.map((peer) => peer.socket)].every((socket) => socket.closed),
  );
  for (const client of clients) client.close();
});

test("afterwards nothing listens and no socket file is left", async () => {
  edge = await startEdge();
  const { grpc, grpcSocket, connect, connectSocket } = edge.places;
  await edge.close();
  for (const address of [grpc, grpcSocket, connect, connectSocket]) {
    await assert.rejects(openSocket(address));
    if (address.kind === "unix") assert.equal(existsSync(address.path), false);
  }
  assert.equal(await edge.metric("haplane_connections"), 0);
  assert.equal(await edge.metric("haplane_rpc_in_flight"), 0);
});

describe("peers are told with GOAWAY", () => {
  for (const place of ["grpc", "grpcSocket", "connect", "connectSocket"] as const) {
    test(place, async () => {
      edge = await startEdge();
      const peer = await openRaw(edge.places[place]);
      await waitFor(
        "the connection to be accepted",
        async () => (await edge.metric("haplane_connections")) === 1,
      );
      await new Promise((resolve) => peer.socket.once("data", resolve));
      await edge.close(1_000);
      const frames = framesOf(await peer.read());
      assert.ok(frames.includes(7), `the frames were of types ${frames.join()}`);
    });
  }
});

/** The types of the frames in what a server sent. */
function framesOf(bytes: Buffer): number[] {
  const types: number[] = [];
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3))
    types.push(bytes.readUInt8(at + 3));
  return types;
}
