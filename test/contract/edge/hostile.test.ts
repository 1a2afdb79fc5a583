import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { waitFor } from "../../support/wait.ts";
import { stacks } from "./clients.ts";
import { defaultHandlers } from "./echo.ts";
import { startEdge, type TestEdge, tokens } from "./harness.ts";
import {
  continuation,
  data,
  frame,
  framesOf,
  grpcMessage,
  hasEnded,
  headers,
  openRaw,
  openSocket,
  PREFACE,
  ping,
  settings,
} from "./raw-http2.ts";

const token = tokens.admin;
const authorization = `Bearer ${token}`;
const say = "/haplane.test.v1.Echo/Say";
const grpc = { "content-type": "application/grpc", authorization };
const places = ["grpc", "grpcSocket", "connect", "connectSocket"] as const;
const limits = { maxRequestBytes: 1024 * 1024, handshakeTimeoutMs: 300 };

/** More than any socket's buffers hold. */
const MAX_FLOOD = 256 * 1024 * 1024;

/** 64 KB that become 64 MB. */
const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));

let edge: TestEdge;
before(async () => {
  edge = await startEdge({ limits });
});
after(() => edge.close());

/** After everything below, every stack works, no call and no connection is left behind. */
async function unharmed(): Promise<void> {
  Object.assign(edge.handlers, defaultHandlers());
  for (const stack of stacks) {
    const client = stack.open(edge.places[stack.place]);
    assert.equal(await client.unary("Say", "well", { token }), "well", stack.name);
    client.close();
  }
  await waitFor("no call to be left", async () => (await edge.metric("haplane_rpc_in_flight")) === 0);
}

/** What a peer says on a new connection. */
const said: { name: string; bytes: Buffer }[] = [
  { name: "nothing", bytes: Buffer.alloc(0) },
  { name: "one byte", bytes: Buffer.from("P") },
  { name: "zeros", bytes: Buffer.alloc(1_000) },
  { name: "TLS", bytes: Buffer.from("16030100a5010000a10303", "hex") },
  { name: "half a preface", bytes: PREFACE.subarray(0, 12) },
  { name: "a preface and no settings", bytes: PREFACE },
  { name: "a preface and garbage", bytes: Buffer.concat([PREFACE, Buffer.alloc(100, 0xff)]) },
  { name: "settings that are none", bytes: Buffer.concat([PREFACE, settings({ 4: 0x80000000 })]) },
  { name: "data for no stream", bytes: Buffer.concat([PREFACE, settings(), data(1, Buffer.alloc(10))]) },
  { name: "HTTP/1.1 garbage", bytes: Buffer.from("GET\u0000 / HTTP/1.1\r\n\r\n") },
  { name: "HTTP/1.1 headers without end", bytes: Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n") },
  {
    name: "HTTP/1.1 with large headers",
    bytes: Buffer.from(`GET / HTTP/1.1\r\nhost: x\r\nx: ${"x".repeat(100_000)}\r\n\r\n`),
  },
  { name: "CONNECT", bytes: Buffer.from("CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n") },
  {
    name: "two lengths",
    bytes: Buffer.from(
      `POST ${say} HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`,
    ),
  },
];
describe("a connection that makes no sense is closed", () => {
  for (const place of places) {
    for (const { name, bytes } of said) {
      test(`${name} (${place})`, async () => {
        const socket = await openSocket(edge.places[place]);
        socket.resume();
        socket.write(bytes);
        await closed(socket);
      });
    }
  }
});

const http1: { name: string; head: string; body?: Buffer; status: number }[] = [
  { name: "no host", head: `POST ${say} HTTP/1.0`, status: 400 },
  { name: "a host that is none", head: `POST ${say} HTTP/1.1\r\nhost: [x`, status: 400 },
  { name: "no such method", head: "POST /haplane.test.v1.Echo/Nothing HTTP/1.1\r\nhost: x", status: 404 },
  { name: "a path that is no path", head: "GET //x:y HTTP/1.1\r\nhost: x", status: 404 },
  { name: "JSON that is none", head: post("application/json"), body: Buffer.from("{"), status: 400 },
  {
    name: "JSON of another type",
    head: post("application/json"),
    body: Buffer.from('{"value": 1}'),
    status: 400,
  },
  {
    name: "very deep JSON",
    head: post("application/json"),
    body: Buffer.from("[".repeat(500_000)),
    status: 400,
  },
  { name: "two values", head: post("application/json"), body: Buffer.from('"x" "y"'), status: 400 },
  {
    name: "a prototype",
    head: post("application/json"),
    body: Buffer.from('{"__proto__": {"x": 1}}'),
    status: 400,
  },
  { name: "a list for a value", head: post("application/json"), body: Buffer.from('["x"]'), status: 400 },
  {
    name: "bytes that are no UTF-8, which become U+FFFD",
    head: post("application/json"),
    body: Buffer.from("22ff22", "hex"),
    status: 200,
  },
  {
    name: "half of a surrogate pair",
    head: post("application/json"),
    body: Buffer.from('"\\ud800"'),
    status: 400,
  },
  {
    name: "groups without end",
    head: post("application/proto"),
    body: Buffer.alloc(500_000, 0x0b),
    status: 500,
  },
  {
    name: "protobuf that is none",
    head: post("application/proto"),
    body: Buffer.alloc(9, 0xff),
    status: 500,
  },
  { name: "too much", head: post("application/json"), body: Buffer.alloc(2 * 1024 * 1024, "x"), status: 429 },
  {
    name: "too much when unpacked",
    head: post("application/json", "content-encoding: gzip"),
    body: bomb,
    status: 429,
  },
  {
    name: "gzip that is none",
    head: post("application/json", "content-encoding: gzip"),
    body: Buffer.from("this is no gzip"),
    status: 400,
  },
  {
    name: "an encoding that nobody knows",
    head: post("application/json", "content-encoding: zip"),
    body: Buffer.from("x"),
    status: 501,
  },
  {
    name: "a timeout that is none",
    head: post("application/json", "connect-timeout-ms: soon"),
    body: Buffer.from('"x"'),
    status: 400,
  },
  {
    name: "a timeout beyond all measure",
    head: post("application/json", "connect-timeout-ms: 9999999999"),
    body: Buffer.from('"x"'),
    status: 400,
  },
];
describe("a request that makes no sense is answered, and the connection goes on", () => {
  for (const { name, head, body = Buffer.alloc(0), status } of http1) {
    test(`${name}: ${status}`, async () => {
      const socket = await openSocket(edge.places.connect);
      socket.write(Buffer.concat([Buffer.from(`${head}\r\ncontent-length: ${body.length}\r\n\r\n`), body]));
      const [first] = (await once(socket, "data")) as [Buffer];
      assert.match(first.toString("latin1"), new RegExp(`^HTTP/1.1 ${status} `));
      socket.destroy();
    });
  }

  test("what comes after a request that was refused halfway is served", async () => {
    const { connect } = edge.places;
    assert.ok(connect.kind === "tcp");
    const { Agent } = await import("node:http");
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = async (body: Buffer, type: string) => {
      const options = { host: connect.host, port: connect.port, path: say, method: "POST", agent };
      const request = httpRequest({ ...options, headers: { authorization, "content-type": type } });
      request.end(body);
      const [response] = (await once(request, "response")) as [IncomingMessage];
      return { status: response.statusCode, body: await text(response), reused: request.reusedSocket };
    };
    const tooMuch = grpcMessage(Buffer.alloc(2 * 1024 * 1024));
    for (let round = 0; round < 3; round += 1) {
      assert.equal(
        (await ask(tooMuch, "application/grpc-web+proto")).status,
        200,
        "with a status in its trailers",
      );
      assert.equal((await ask(Buffer.from('"x"'), "application/json")).body, '"x"');
    }
    agent.destroy();
  });
});

const frames: { name: string; frames: Buffer[] }[] = [
  {
    name: "a message that is cut short",
    frames: [headers(1, say, grpc), data(1, grpcMessage(Buffer.from("abc"), { length: 100 }), true)],
  },
  {
    name: "a length beyond all measure",
    frames: [headers(1, say, grpc), data(1, grpcMessage(Buffer.from("abc"), { length: 0xffffffff }), true)],
  },
  {
    name: "groups without end",
    frames: [headers(1, say, grpc), ...pieces(grpcMessage(Buffer.alloc(500_000, 0x0b)))],
  },
  { name: "no message", frames: [headers(1, say, grpc), data(1, Buffer.alloc(0), true)] },
  {
    name: "two messages for one",
    frames: [
      headers(1, say, grpc),
      data(1, Buffer.concat([grpcMessage(Buffer.alloc(0)), grpcMessage(Buffer.alloc(0))]), true),
    ],
  },
  {
    name: "a flag that is none",
    frames: [headers(1, say, grpc), data(1, grpcMessage(Buffer.alloc(0), { compressed: 7 }), true)],
  },
  {
    name: "compressed garbage",
    frames: [
      headers(1, say, { ...grpc, "grpc-encoding": "gzip" }),
      data(1, grpcMessage(Buffer.from("abc"), { compressed: 1 }), true),
    ],
  },
  {
    name: "a compressed bomb",
    frames: [
      headers(1, say, { ...grpc, "grpc-encoding": "gzip" }),
      ...pieces(grpcMessage(bomb, { compressed: 1 })),
    ],
  },
  {
    name: "an encoding that nobody knows",
    frames: [
      headers(1, say, { ...grpc, "grpc-encoding": "zip" }),
      data(1, grpcMessage(Buffer.from("abc"), { compressed: 1 }), true),
    ],
  },
  {
    name: "a timeout that is none",
    frames: [
      headers(1, say, { ...grpc, "grpc-timeout": "soon" }),
      data(1, grpcMessage(Buffer.alloc(0)), true),
    ],
  },
  {
    name: "a timeout beyond all measure",
    frames: [
      headers(1, say, { ...grpc, "grpc-timeout": "99999999H" }),
      data(1, grpcMessage(Buffer.alloc(0)), true),
    ],
  },
  {
    name: "a method with odd characters",
    frames: [headers(1, "/\u00ff\u0001%zz", grpc), data(1, Buffer.alloc(0), true)],
  },
  {
    name: "a binary header that is none",
    frames: [headers(1, say, { ...grpc, "x-bin": "%%%" }), data(1, grpcMessage(Buffer.alloc(0)), true)],
  },
  {
    name: "an authority that is none",
    frames: [headers(1, say, { ...grpc, ":authority": "[x" }), data(1, grpcMessage(Buffer.alloc(0)), true)],
  },
  {
    name: "many headers",
    frames: [
      headers(1, say, {
        ...grpc,
        ...Object.fromEntries(Array.from({ length: 120 }, (_, n) => [`x-${n}`, "y"])),
      }),
      data(1, grpcMessage(Buffer.alloc(0)), true),
    ],
  },
  {
    name: "another content type",
    frames: [headers(1, say, { ...grpc, "content-type": "text/html" }), data(1, Buffer.alloc(0), true)],
  },
];
describe("an RPC that makes no sense gets an answer, or the connection is closed", () => {
  for (const place of places) {
    for (const { name, frames: sent } of frames) {
      test(`${name} (${place})`, async () => {
        const peer = await openRaw(edge.places[place]);
        peer.send(...sent);
        await waitFor(
          "an answer on the stream, or the end",
          () => peer.socket.closed || hasEnded(peer.received(), 1),
        );
        peer.socket.destroy();
      });
    }
  }
});

describe("a connection that abuses HTTP/2 is bounded", () => {
  for (const place of places) {
    test(`1,500 calls opened and reset (${place})`, async () => {
      const peer = await openRaw(edge.places[place]);
      for (let n = 0; n < 1_500 && !peer.socket.closed; n += 1) {
        const stream = 2 * n + 1;
        peer.send(headers(stream, say, grpc), frame(3, 0, stream, Buffer.from([0, 0, 0, 8])));
      }
      await waitFor("no call to be left", async () => (await edge.metric("haplane_rpc_in_flight")) === 0);
      peer.socket.destroy();
    });

    test(`headers without end (${place})`, async () => {
      const peer = await openRaw(edge.places[place]);
      const open = frame(1, 0, 1, headers(1, say, grpc).subarray(9));
      peer.send(open);
      for (let sent = 0; sent < 4_000 && !peer.socket.closed; sent += 1) {
        peer.send(continuation(1, `x-${sent}`, "y".repeat(1_000)));
        if (sent % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await closed(peer.socket);
    });

    test(`a window of one byte (${place})`, async () => {
      let asked = 0;
      edge.handlers.watch = async function* () {
        for (;;) {
          asked += 1;
          yield { value: "x".repeat(10_000) };
        }
      };
      const peer = await openRaw(edge.places[place]);
      const watch = "/haplane.test.v1.Echo/Watch";
      peer.send(settings({ 4: 1 }), headers(1, watch, grpc), data(1, grpcMessage(Buffer.alloc(0)), true));
      await waitFor("the handler to be asked", () => asked > 0);
      for (let n = 0; n < 200; n += 1) {
        peer.send(ping());
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.ok(asked < 100, `the handler was asked for ${asked} messages that nobody reads`);
      peer.socket.destroy();
      await waitFor("no call to be left", async () => (await edge.metric("haplane_rpc_in_flight")) === 0);
      await waitFor("no connection to be left", async () => (await edge.metric("haplane_connections")) === 0);
    });

    test(`settings and pings in a flood, answers unread (${place})`, async () => {
      const peer = await openRaw(edge.places[place]);
      peer.socket.pause();
      const flood = Buffer.concat(Array.from({ length: 1_000 }, () => [ping(), settings()]).flat());
      // Until it is closed: what a socket's buffers take, and how much is read at once, are the machine's affair, so no size of its own is sure to be a flood.
      for (let sent = 0; sent < MAX_FLOOD && !peer.socket.closed; sent += flood.length) {
        peer.send(flood);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await closed(peer.socket);
    });

    test(`more calls at once than allowed (${place})`, async () => {
      edge.handlers.say = () => new Promise(() => {});
      const peer = await openRaw(edge.places[place]);
      for (let n = 0; n < 1_200; n += 1) {
        peer.send(headers(2 * n + 1, say, grpc), data(2 * n + 1, grpcMessage(Buffer.alloc(0)), true));
      }
      // Some are taken, or the connection is given up at once: whichever is seen first.
      let isClosed = false;
      peer.socket.once("close", () => {
        isClosed = true;
      });
      await waitFor(
        "an answer to the calls",
        async () => isClosed || (await edge.metric("haplane_rpc_in_flight")) > 0,
      );
      assert.ok((await edge.metric("haplane_rpc_in_flight")) <= 1_000);
      peer.socket.destroy();
      await waitFor("no call to be left", async () => (await edge.metric("haplane_rpc_in_flight")) === 0);
    });
  }
});

describe("a peer that does not answer pings is dead", () => {
  for (const place of places) {
    test(place, async () => {
      const pinging = await startEdge({ limits: { keepaliveIntervalMs: 100, keepaliveTimeoutMs: 100 } });
      const peer = await openRaw(pinging.places[place]);
      const began = performance.now();
      await closed(peer.socket);
      assert.ok(performance.now() - began >= 150);
      await pinging.close();
    });
  }
});

describe("windows are as large as said", () => {
  for (const place of places) {
    test(place, async () => {
      const peer = await openRaw(edge.places[place]);
      await waitFor("the windows", () => windowUpdateIn(peer.received()) > 0);
      const bytes = peer.received();
      assert.equal(settingIn(bytes, 4), 1024 * 1024, "SETTINGS_INITIAL_WINDOW_SIZE");
      assert.equal(settingIn(bytes, 3), 1_000, "SETTINGS_MAX_CONCURRENT_STREAMS");
      assert.ok(windowUpdateIn(bytes) >= 4 * 1024 * 1024 - 65_535, "the connection's window");
      peer.socket.destroy();
    });
  }
});

test("connections over the limit are refused and counted", async () => {
  const small = await startEdge({ limits: { maxConnections: 2 } });
  const open = [await openSocket(small.places.grpc), await openSocket(small.places.grpc)];
  await waitFor("both to be accepted", async () => (await small.metric("haplane_connections")) === 2);
  const third = await openSocket(small.places.grpc);
  third.resume();
  await closed(third);
  assert.equal(await small.metric("haplane_connections_refused_total"), 1);
  for (const socket of open) socket.destroy();
  await small.close();
});

test("after all of this everything works, and nothing is left", async () => {
  await unharmed();
  const defects = edge.log.filter(({ level }) => Number(level) >= 50);
  assert.deepEqual(defects, [], "no peer can make us believe in a defect of ours");
});

function post(type: string, ...more: string[]): string {
  return [
    `POST ${say} HTTP/1.1`,
    "host: x",
    `content-type: ${type}`,
    `authorization: ${authorization}`,
    ...more,
  ].join("\r\n");
}

async function closed(socket: Socket): Promise<void> {
  await waitFor("the connection to be closed", () => socket.closed || socket.destroyed, { timeoutMs: 5_000 });
}

/** A request body in frames that no receiver finds too large. */
function pieces(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 16_000) {
    found.push(data(1, bytes.subarray(at, at + 16_000), at + 16_000 >= bytes.length));
  }
  return found;
}

function settingIn(bytes: Buffer, id: number): number | undefined {
  let value: number | undefined;
  for (const { type, payload } of framesOf(bytes)) {
    if (type !== 4) continue;
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      if (payload.readUInt16BE(at) === id) value = payload.readUInt32BE(at + 2);
    }
  }
  return value;
}

function windowUpdateIn(bytes: Buffer): number {
  const updates = framesOf(bytes).filter(({ type, stream }) => type === 8 && stream === 0);
  return updates.reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);
}
