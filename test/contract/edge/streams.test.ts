import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { status as Code } from "@grpc/grpc-js";
import { DomainError } from "../../../src/lib/errors.ts";
import { waitFor } from "../../support/wait.ts";
import { ClientError, type EchoClient, type Stack, stacks } from "./clients.ts";
import { defaultHandlers } from "./echo.ts";
import { startEdge, type TestEdge, tokens } from "./harness.ts";
import { data, grpcMessage, headers, openRaw, reset } from "./raw-http2.ts";

let edge: TestEdge;
before(async () => {
  edge = await startEdge();
});
after(() => edge.close());

const token = tokens.admin;
const echo = "haplane.test.v1.Echo";
const inFlight = () => edge.metric("haplane_rpc_in_flight");

/** Runs a test over every stack, or some, each with a client of its own; whatever it did, no call may be left. */
function everywhere(
  name: string,
  run: (client: EchoClient, stack: Stack) => Promise<void>,
  where: readonly Stack[] = stacks,
): void {
  describe(name, () => {
    for (const stack of where) {
      test(stack.name, async () => {
        Object.assign(edge.handlers, defaultHandlers());
        const client = stack.open(edge.places[stack.place]);
        try {
          await run(client, stack);
          await waitFor("no call to be left", async () => (await inFlight()) === 0);
        } finally {
          client.close();
        }
      });
    }
  });
}

/** A watch that sends one message and then parks for ever, without looking at its signal. */
function parkedWatch() {
  const seen = { signal: undefined as AbortSignal | undefined };
  edge.handlers.watch = async function* (_request, context) {
    seen.signal = context.signal;
    yield { value: "first" };
    await new Promise(() => {});
  };
  return seen;
}

everywhere("a cancelled stream reaches its handler at once, even one that is parked", async (client) => {
  const seen = parkedWatch();
  const cancel = new AbortController();
  const values = client.watch("", { token, signal: cancel.signal })[Symbol.asyncIterator]();
  assert.equal((await values.next()).value, "first");
  const reading = values.next();
  reading.catch(() => {});
  assert.equal(seen.signal?.aborted, false);
  cancel.abort();
  await waitFor("the handler to learn it", () => seen.signal?.aborted, { timeoutMs: 1_000 });
  assert.equal(seen.signal?.reason.reason, "CANCELLED");
  await assert.rejects(reading, (error) => error instanceof ClientError && error.code === Code.CANCELLED);
});

everywhere("a cancelled unary call reaches its handler at once", async (client) => {
  let signal: AbortSignal | undefined;
  edge.handlers.say = (_request, context) => {
    signal = context.signal;
    return new Promise(() => {});
  };
  const cancel = new AbortController();
  const call = client.unary("Say", "", { token, signal: cancel.signal });
  call.catch(() => {});
  await waitFor("the call to arrive", () => signal);
  cancel.abort();
  await waitFor("the handler to learn it", () => signal?.aborted, { timeoutMs: 1_000 });
  await assert.rejects(call);
});

everywhere("a deadline ends a call on both sides", async (client) => {
  let signal: AbortSignal | undefined;
  edge.handlers.say = (_request, context) => {
    signal = context.signal;
    return new Promise(() => {});
  };
  const call = client.unary("Say", "", { token, timeoutMs: 100 });
  await assert.rejects(
    call,
    (error) => error instanceof ClientError && error.code === Code.DEADLINE_EXCEEDED,
  );
  await waitFor("the handler to learn it", () => signal?.aborted, { timeoutMs: 1_000 });
});

test("a deadline that the client does not keep itself is kept by the server", async () => {
  for (const stack of stacks) {
    edge.handlers.say = () => new Promise(() => {});
    const client = stack.open(edge.places[stack.place]);
    const name = stack.protocol === "connect" ? "connect-timeout-ms" : "grpc-timeout";
    const headers = { [name]: stack.protocol === "connect" ? "50" : "50m" };
    const labels = { protocol: stack.protocol, method: `${echo}/Say`, code: "DEADLINE_EXCEEDED" };
    const before = await edge.metric("haplane_rpc_handled_total", labels);
    await assert.rejects(client.unary("Say", "", { token, headers }), (error) => {
      assert.ok(error instanceof ClientError);
      assert.equal(error.code, Code.DEADLINE_EXCEEDED, stack.name);
      assert.equal(error.details[0]?.[0], "google.rpc.ErrorInfo", stack.name);
      return true;
    });
    assert.equal(await edge.metric("haplane_rpc_handled_total", labels), before + 1, stack.name);
    client.close();
  }
});

everywhere("a handler that ends because of its signal ends with the reason of the abort", async (client) => {
  edge.handlers.watch = async function* (_request, { signal }) {
    yield { value: "first" };
    await new Promise((_resolve, reject) =>
      signal.addEventListener("abort", () => reject(new Error("some other error"))),
    );
  };
  const cancel = new AbortController();
  const values = client.watch("", { token, signal: cancel.signal })[Symbol.asyncIterator]();
  await values.next();
  const reading = values.next();
  reading.catch(() => {});
  cancel.abort();
  await assert.rejects(reading);
  await waitFor("the call to end", async () => (await inFlight()) === 0);
  assert.equal(edge.log.at(-1)?.code, "CANCELLED");
});

for (const place of ["grpc", "grpcSocket", "connect", "connectSocket"] as const) {
  for (const how of ["reset", "cut"] as const) {
    test(`an upload that is ${how} in the middle never looks complete (${place})`, async () => {
      let outcome: unknown;
      let received = 0;
      edge.handlers.upload = async (requests) => {
        try {
          for await (const _ of requests) received += 1;
          outcome = "complete";
        } catch (error) {
          outcome = error;
          throw error;
        }
        return {};
      };
      const peer = await openRaw(edge.places[place]);
      peer.send(
        headers(1, `/${echo}/Upload`, {
          "content-type": "application/grpc",
          authorization: `Bearer ${token}`,
        }),
        data(1, grpcMessage(Buffer.from("\n\u0001x"))),
      );
      await waitFor("the first message", () => received === 1);
      if (how === "reset") peer.send(reset(1));
      else peer.socket.destroy();
      await waitFor("the handler to learn it", () => outcome);
      assert.ok(outcome instanceof DomainError && outcome.reason === "CANCELLED", String(outcome));
      await waitFor("no call to be left", async () => (await inFlight()) === 0);
      peer.socket.destroy();
    });
  }
}

everywhere("a handler may refuse before it streams", async (client) => {
  edge.handlers.watch = () => {
    throw new DomainError("CURSOR_FOREIGN", "not ours");
  };
  await assert.rejects(client.watch("", { token })[Symbol.asyncIterator]().next(), (error) => {
    return error instanceof ClientError && error.code === Code.INVALID_ARGUMENT && error.details.length > 0;
  });
});

everywhere("an upload is refused in the middle", async (client) => {
  edge.handlers.upload = async (requests) => {
    for await (const { value } of requests)
      if (value === "bad") throw new DomainError("FIELD_INVALID", "bad");
    return {};
  };
  async function* values() {
    yield "good";
    yield "bad";
    for (let sent = 0; sent < 100; sent += 1) yield "more";
  }
  await assert.rejects(client.upload(values(), { token }), (error) => {
    return error instanceof ClientError && error.code === Code.INVALID_ARGUMENT;
  });
});

/** More than any window or buffer in between; a reader that is this far behind has stopped its writer. */
const BOUND = 8 * 1024 * 1024;

everywhere("a reader that stops stops the writer, and both go on later", async (client) => {
  // Something that no compression makes small.
  const chunk = randomBytes(12 * 1024).toString("base64");
  let sent = 0;
  let ended = false;
  edge.handlers.watch = async function* () {
    try {
      for (;;) {
        sent += chunk.length;
        yield { value: chunk };
      }
    } finally {
      ended = true;
    }
  };
  const cancel = new AbortController();
  const values = client.watch("", { token, signal: cancel.signal })[Symbol.asyncIterator]();
  await values.next();
  let before = 0;
  const stopped = await waitFor(
    "the writer to stop",
    () => {
      const still = sent === before;
      before = sent;
      return still && sent;
    },
    { everyMs: 100 },
  );
  assert.ok(stopped < BOUND, `${stopped} bytes were written to a reader that does not read`);
  for (let read = 0; read < 2 * stopped; read += chunk.length) await values.next();
  assert.ok(sent > stopped);
  cancel.abort();
  await waitFor("the writer to end", () => ended);
  await values.next().catch(() => {});
});

/** Both servers, both versions of HTTP, a port and a socket: what takes long is tried on these. */
const oneOfEachKind = [
  "grpc-js, grpc",
  "grpc-js, connectSocket",
  "gRPC-Web, HTTP/2, connectSocket",
  "Connect, HTTP/1.1, connect",
].map((name) => stacks.find((stack) => stack.name === name) ?? assert.fail(name));

everywhere(
  "1,000 streams, opened and cancelled, leave nothing",
  async (client) => {
    let open = 0;
    edge.handlers.watch = async function* (_request, { signal }) {
      open += 1;
      signal.addEventListener("abort", () => {
        open -= 1;
      });
      yield { value: "first" };
      await new Promise(() => {});
    };
    for (let round = 0; round < 10; round += 1) {
      const cancel = new AbortController();
      const streams = Array.from({ length: 100 }, async () => {
        for await (const _ of client.watch("", { token, signal: cancel.signal })) break;
      });
      await Promise.all(streams);
      cancel.abort();
      await waitFor("the streams to end", () => open === 0);
    }
    await waitFor("no call to be left", async () => (await inFlight()) === 0);
    Object.assign(edge.handlers, defaultHandlers());
    assert.equal(await client.unary("Say", "still there", { token }), "still there");
  },
  oneOfEachKind,
);
