import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { create, fromBinary } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { status as Code } from "@grpc/grpc-js";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { HealthCheckResponse_ServingStatus as Serving } from "../../../gen/health/v1/health_pb.js";
import { DomainError, type ErrorFacts, type ErrorReason } from "../../../src/lib/errors.ts";
import { Encoded } from "../../../src/rpc/encoded.ts";
import type { CallContext } from "../../../src/rpc/handler.ts";
import { REASONS } from "../../../src/rpc/status.ts";
import { ClientError, type EchoClient, type Stack, stacks } from "./clients.ts";
import { defaultHandlers } from "./echo.ts";
import { startEdge, type TestEdge, tokens } from "./harness.ts";

let edge: TestEdge;
before(async () => {
  edge = await startEdge({ limits: { maxRequestBytes: 4 * 1024 * 1024 } });
});
after(() => edge.close());

const token = tokens.admin;

async function* listOf<T>(...items: T[]): AsyncGenerator<T> {
  yield* items;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

async function errorOf(call: Promise<unknown>): Promise<ClientError> {
  const error = await call.then(
    () => assert.fail("the call must fail"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ClientError, String(error));
  return error;
}

/** Runs a test over every stack, each with a client of its own and the handlers as they were. */
function everywhere(name: string, run: (client: EchoClient, stack: Stack) => Promise<void>): void {
  describe(name, () => {
    for (const stack of stacks) {
      test(stack.name, async () => {
        Object.assign(edge.handlers, defaultHandlers());
        const client = stack.open(edge.places[stack.place]);
        try {
          await run(client, stack);
        } finally {
          client.close();
        }
      });
    }
  });
}

everywhere("every kind of method", async (client, { fullDuplex }) => {
  assert.equal(await client.unary("Say", "grüß Gott", { token }), "grüß Gott");
  assert.deepEqual(await collect(client.watch("abc", { token })), ["a", "b", "c"]);
  assert.deepEqual(await collect(client.watch("", { token })), []);
  assert.equal(await client.upload(listOf("a", "b", "c"), { token }), "abc");
  assert.equal(await client.upload(listOf(), { token }), "");
  if (fullDuplex) assert.deepEqual(await collect(client.talk(listOf("a", "b"), { token })), ["a", "b"]);
});

everywhere("what a handler knows of its call", async (client, { place, protocol }) => {
  let seen: CallContext | undefined;
  edge.handlers.say = async ({ value }, context) => {
    seen = context;
    return { value };
  };
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const headers = { "x-request-id": "request-1", traceparent, "x-extra": "more" };
  const before = Date.now();
  await client.unary("Say", "", { token, headers, timeoutMs: 60_000 });
  assert.ok(seen);
  assert.deepEqual({ ...seen.caller }, { name: "ann", role: 4 });
  assert.equal(seen.requestId, "request-1");
  assert.equal(seen.trace?.traceId, "4bf92f3577b34da6a3ce929d0e0e4736");
  assert.equal(seen.header("x-extra"), "more");
  assert.equal(seen.header("x-none"), undefined);
  assert.equal(seen.header("authorization"), undefined, "credentials stop at the gate");
  assert.ok(
    seen.deadline !== undefined && seen.deadline > before + 50_000 && seen.deadline < before + 70_000,
  );
  const socket = edge.places[place];
  if (socket.kind === "unix")
    assert.deepEqual(seen.peer, { kind: "unix", address: `unix:${socket.path}`, host: "unix" });
  else assert.match(seen.peer.address, /^127\.0\.0\.1:\d+$/);

  await client.unary("Say", "", { token, headers: { "x-request-id": "bad id!" } });
  assert.match(seen.requestId, /^[\w-]{10,}$/);
  assert.equal(seen.deadline, undefined);
  assert.equal(seen.trace, undefined);

  const line = edge.log.find(({ requestId }) => requestId === "request-1");
  assert.equal(line?.method, "haplane.test.v1.Echo/Say");
  assert.equal(edge.log.filter(({ protocol: by }) => by === protocol).length > 0, true);
});

const facts: ErrorFacts = {
  violations: [{ field: "source.consul.port", description: "must be 1 to 65535" }],
  resource: { type: "source", name: "sources/ö" },
  alerts: [{ file: "haproxy.cfg", line: 7, message: "unknown keyword 'x'" }],
  retryAfterMs: 1_500,
  metadata: { oldestCursor: "c", sent: "1", current: "2" },
  cause: new Error("hunter2"),
};

describe("every reason arrives the same over every stack", () => {
  const reasons = (Object.keys(REASONS) as ErrorReason[]).filter(
    (reason) => REASONS[reason].code !== Code.CANCELLED,
  );
  for (const reason of reasons) {
    test(reason, async () => {
      Object.assign(edge.handlers, defaultHandlers());
      const thrown = () => {
        throw new DomainError(reason, "a sentence with ünïcode, 100% and \ud800 half a character", facts);
      };
      edge.handlers.say = async () => thrown();
      // biome-ignore lint/correctness/useYield: it fails before its first message.
      edge.handlers.watch = async function* () {
        thrown();
      };
      const headers = { "x-request-id": "request-1" };
      const seen = new Map<string, string>();
      for (const stack of stacks) {
        const client = stack.open(edge.places[stack.place]);
        const unary = await errorOf(client.unary("Say", "", { token, headers }));
        const stream = await errorOf(collect(client.watch("", { token, headers })));
        client.close();
        for (const { code, message, details } of [unary, stream]) {
          const text = JSON.stringify([
            Code[code],
            message,
            details.map(([type, bytes]) => [type, Buffer.from(bytes).toString("hex")]),
          ]);
          seen.set(text, stack.name);
          assert.equal(code, REASONS[reason].code);
          assert.equal(details[0]?.[0], "google.rpc.ErrorInfo");
          assert.equal(fromBinary(ErrorInfoSchema, details[0][1]).reason, reason);
          assert.doesNotMatch(text, /hunter2/);
        }
      }
      assert.equal(seen.size, 1, [...seen].map((entry) => entry.join(": ")).join("\n"));
    });
  }
});

everywhere("a defect tells the client a request id, and the log the cause", async (client) => {
  const bug = new Error("hunter2");
  edge.handlers.say = () => Promise.reject(bug);
  const error = await errorOf(client.unary("Say", "", { token }));
  assert.equal(error.code, Code.INTERNAL);
  assert.doesNotMatch(JSON.stringify(error), /hunter2/);
  const requestId = fromBinary(ErrorInfoSchema, error.details[0]?.[1] ?? new Uint8Array()).metadata
    .request_id;
  const line = edge.log.find((found) => found.requestId === requestId);
  assert.ok(line);
  assert.equal((line.err as Error).message, "hunter2");
  assert.equal(line.level, 50);
});

everywhere(
  "the log has the cause of what failed here, and not of what the caller did wrong",
  async (client) => {
    for (const [reason, hasCause] of [
      ["FIELD_INVALID", false],
      ["STORE_UNAVAILABLE", true],
    ] as const) {
      edge.handlers.say = async () => {
        throw new DomainError(reason, "a sentence", { cause: new Error("the cause") });
      };
      await errorOf(client.unary("Say", "", { token, headers: { "x-request-id": `cause-${reason}` } }));
      const line = edge.log.findLast(({ requestId }) => requestId === `cause-${reason}`);
      assert.equal(line?.reason, reason);
      assert.equal("err" in line, hasCause);
    }
  },
);

everywhere("an error after some messages comes after them", async (client) => {
  edge.handlers.watch = async function* () {
    yield { value: "a" };
    yield { value: "b" };
    throw new DomainError("CURSOR_EXPIRED", "too old");
  };
  const seen: string[] = [];
  const reading = (async () => {
    for await (const value of client.watch("", { token })) seen.push(value);
  })();
  assert.equal((await errorOf(reading)).code, Code.OUT_OF_RANGE);
  assert.deepEqual(seen, ["a", "b"]);
});

everywhere("an answer that cannot be read is a defect, not a crash", async (client) => {
  const unreadable = {
    get value(): string {
      throw new Error("hunter2");
    },
  };
  edge.handlers.say = async () => unreadable;
  assert.equal((await errorOf(client.unary("Say", "", { token }))).code, Code.INTERNAL);
  edge.handlers.watch = async function* () {
    yield { value: "a" };
    yield unreadable;
  };
  assert.equal((await errorOf(collect(client.watch("", { token })))).code, Code.INTERNAL);
  edge.handlers.watch = () => {
    throw new Error("not even an iterable");
  };
  assert.equal((await errorOf(collect(client.watch("", { token })))).code, Code.INTERNAL);
});

test("an answer that is encoded once goes to all of them", async () => {
  const answer = Encoded.ofMessage(StringValueSchema, create(StringValueSchema, { value: "once" }));
  const ready = Encoded.ofBytes(StringValueSchema, answer.bytes);
  Object.assign(edge.handlers, defaultHandlers());
  edge.handlers.say = async () => answer;
  edge.handlers.watch = async function* () {
    yield answer;
    yield ready;
  };
  for (const stack of stacks) {
    const client = stack.open(edge.places[stack.place]);
    assert.equal(await client.unary("Say", "", { token }), "once", stack.name);
    assert.deepEqual(await collect(client.watch("", { token })), ["once", "once"], stack.name);
    client.close();
  }
});

everywhere("a large message passes, one over the limit is refused", async (client) => {
  const large = "x".repeat(3 * 1024 * 1024);
  assert.equal((await client.unary("Say", large, { token })).length, large.length);
  const error = await errorOf(client.unary("Say", "x".repeat(5 * 1024 * 1024), { token }));
  assert.equal(error.code, Code.RESOURCE_EXHAUSTED);
});

everywhere("health is sent at once and then when it changes", async (client) => {
  edge.health.set("a", "SERVING");
  const statuses = client.watchHealth("a")[Symbol.asyncIterator]();
  assert.equal((await statuses.next()).value, Serving.SERVING);
  edge.health.set("a", "NOT_SERVING");
  assert.equal((await statuses.next()).value, Serving.NOT_SERVING);
  edge.health.set("a", "NOT_SERVING");
  edge.health.set("a", "SERVING");
  assert.equal((await statuses.next()).value, Serving.SERVING);
  const unknown = client.watchHealth("unknown")[Symbol.asyncIterator]();
  assert.equal((await unknown.next()).value, Serving.SERVICE_UNKNOWN);
});

test("calls are counted by protocol, method and code", async () => {
  Object.assign(edge.handlers, defaultHandlers());
  for (const stack of stacks) {
    const labels = { protocol: stack.protocol, method: "haplane.test.v1.Echo/Change", code: "OK" };
    const before = await edge.metric("haplane_rpc_handled_total", labels);
    const client = stack.open(edge.places[stack.place]);
    await client.unary("Change", "", { token });
    client.close();
    assert.equal(await edge.metric("haplane_rpc_handled_total", labels), before + 1, stack.name);
  }
});

test("no credentials are in the log", () => {
  assert.ok(edge.log.length > 100);
  assert.doesNotMatch(JSON.stringify(edge.log), new RegExp(Object.values(tokens).join("|")));
});
