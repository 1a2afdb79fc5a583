import assert from "node:assert/strict";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect as connectHttp2, type Http2Session } from "node:http2";
import { connect as connectSocket } from "node:net";
import { text } from "node:stream/consumers";
import { after, describe, test } from "node:test";
import { status as Code } from "@grpc/grpc-js";
import type { ListenAddress } from "../../../src/rpc/listener.ts";
import { ClientError, stacks } from "./clients.ts";
import { type Places, startEdge, type TestEdge, tokens } from "./harness.ts";

const places: readonly (keyof Places)[] = ["grpc", "grpcSocket", "connect", "connectSocket"];
const byToken = await startEdge({ policy: { authentication: "token" } });
const byPeer = await startEdge({ socketPolicy: { authentication: "peer" } });
const withCredentials = await startEdge({
  policy: { authentication: "token", reflection: "with-credentials" },
});
const switchedOff = await startEdge({
  policy: { authentication: "token", reflection: "off", health: "off" },
});
after(() => Promise.all([byToken, byPeer, withCredentials, switchedOff].map((edge) => edge.close())));

/** A method of each role, and the service that it is called on. */
const change = "haplane.test.v1.Echo/Change";
const say = "haplane.test.v1.Echo/Say";
const watch = "haplane.test.v1.Echo/Watch";
const reflection = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const reflectionAlpha = "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
const healthCheck = "grpc.health.v1.Health/Check";
const healthWatch = "grpc.health.v1.Health/Watch";

interface Row {
  readonly edge: TestEdge;
  readonly method: string;
  readonly token?: string;
  readonly places: readonly (keyof Places)[];
  readonly answer: keyof typeof Code;
}

const sockets = ["grpcSocket", "connectSocket"] as const;
const rows: (Row & { readonly name: string })[] = [
  ...[say, watch, change].flatMap((method) => [
    {
      name: "no RPC without credentials, sockets included",
      edge: byToken,
      method,
      places,
      answer: "UNAUTHENTICATED" as const,
    },
    {
      name: "no RPC with wrong ones",
      edge: byToken,
      method,
      token: "wrong",
      places,
      answer: "UNAUTHENTICATED" as const,
    },
    {
      name: "every RPC for those who may",
      edge: byToken,
      method,
      token: tokens.admin,
      places,
      answer: "OK" as const,
    },
    { name: "a socket may trust its peers", edge: byPeer, method, places: sockets, answer: "OK" as const },
    {
      name: "a port never does",
      edge: byPeer,
      method,
      places: ["grpc", "connect"] as const,
      answer: "UNAUTHENTICATED" as const,
    },
    {
      name: "wrong credentials are wrong on a trusting socket too",
      edge: byPeer,
      method,
      token: "wrong",
      places: sockets,
      answer: "UNAUTHENTICATED" as const,
    },
  ]),
  {
    name: "a role includes the lesser ones",
    edge: byToken,
    method: change,
    token: tokens.operator,
    places,
    answer: "OK",
  },
  {
    name: "a role is not the greater ones",
    edge: byToken,
    method: change,
    token: tokens.viewer,
    places,
    answer: "PERMISSION_DENIED",
  },
  {
    name: "not on a trusting socket either",
    edge: byPeer,
    method: change,
    token: tokens.viewer,
    places: sockets,
    answer: "PERMISSION_DENIED",
  },
  ...[reflection, reflectionAlpha].flatMap((method) => [
    {
      name: "reflection answers here without credentials",
      edge: byToken,
      method,
      places,
      answer: "OK" as const,
    },
    {
      name: "unless it is told not to",
      edge: withCredentials,
      method,
      places,
      answer: "UNAUTHENTICATED" as const,
    },
    {
      name: "and then with them",
      edge: withCredentials,
      method,
      token: tokens.viewer,
      places,
      answer: "OK" as const,
    },
    {
      name: "or is not there",
      edge: switchedOff,
      method,
      token: tokens.admin,
      places,
      answer: "UNIMPLEMENTED" as const,
    },
  ]),
  ...[healthCheck, healthWatch].flatMap((method) => [
    { name: "health answers without credentials", edge: byToken, method, places, answer: "OK" as const },
    { name: "and with wrong ones", edge: byToken, method, token: "wrong", places, answer: "OK" as const },
    { name: "unless it is off", edge: switchedOff, method, places, answer: "UNIMPLEMENTED" as const },
  ]),
];

describe("who may call what, where (gRPC)", () => {
  for (const { name, edge, method, token, places: where, answer } of rows) {
    for (const place of where) {
      test(`${method} on ${place}: ${name}: ${answer}`, async () => {
        const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
        assert.equal(await callRaw(edge.places[place], method, headers), Code[answer]);
      });
    }
  }
});

describe("what is refused is never parsed", () => {
  for (const place of places) {
    test(place, async () => {
      let called = 0;
      byToken.handlers.say = async () => {
        called += 1;
        return {};
      };
      const malformed = Buffer.from([0, 0, 0, 0, 3, 0xff, 0xff, 0xff]);
      const ask = (headers: Record<string, string>) =>
        callRaw(byToken.places[place], say, headers, malformed);
      assert.equal(await ask({}), Code.UNAUTHENTICATED);
      // connect-node calls what it cannot parse an internal error.
      const unreadable = place.startsWith("connect") ? Code.INTERNAL : Code.INVALID_ARGUMENT;
      assert.equal(await ask({ authorization: `Bearer ${tokens.admin}` }), unreadable);
      assert.equal(called, 0);
    });
  }
});

describe("a refusal is proper in every protocol", () => {
  for (const stack of stacks) {
    test(stack.name, async () => {
      const client = stack.open(byToken.places[stack.place]);
      for (const token of [undefined, "wrong"]) {
        await assert.rejects(client.unary("Say", "x", { token }), refused(Code.UNAUTHENTICATED));
        await assert.rejects(
          client.watch("x", { token })[Symbol.asyncIterator]().next(),
          refused(Code.UNAUTHENTICATED),
        );
        await assert.rejects(client.upload(endless(), { token }), refused(Code.UNAUTHENTICATED));
      }
      await assert.rejects(
        client.unary("Change", "x", { token: tokens.viewer }),
        refused(Code.PERMISSION_DENIED),
      );
      client.close();
    });
  }
});

describe("plain HTTP", () => {
  const admin = { authorization: `Bearer ${tokens.admin}` };
  const cases: {
    edge: TestEdge;
    method?: string;
    path: string;
    headers?: Record<string, string>;
    status: number;
    where?: "connectSocket";
  }[] = [
    { edge: byToken, path: "/metrics", status: 401 },
    { edge: byToken, path: "/metrics", status: 401, where: "connectSocket" },
    { edge: byToken, path: "/metrics", headers: { authorization: "Bearer wrong" }, status: 401 },
    { edge: byToken, path: "/metrics", headers: admin, status: 200 },
    { edge: byToken, path: "/metrics?x=1", headers: admin, status: 200 },
    { edge: byToken, path: "/metrics", method: "HEAD", headers: admin, status: 200 },
    { edge: byToken, path: "/metrics", method: "POST", headers: admin, status: 405 },
    { edge: byPeer, path: "/metrics", status: 200, where: "connectSocket" },
    { edge: byPeer, path: "/metrics", status: 401 },
    { edge: byToken, path: "/healthz", status: 200 },
    { edge: byToken, path: "/healthz", status: 200, where: "connectSocket" },
    { edge: switchedOff, path: "/healthz", status: 404 },
    { edge: byToken, path: "/", status: 404 },
    { edge: byToken, path: "/metrics/..", headers: admin, status: 404 },
    { edge: byToken, path: "/broken", status: 500 },
    { edge: byToken, path: `/${say}`, method: "GET", headers: admin, status: 405 },
    {
      edge: byToken,
      path: `/${say}`,
      method: "POST",
      headers: { "content-type": "application/json" },
      status: 401,
    },
    {
      edge: byToken,
      path: `/${say}`,
      method: "POST",
      headers: { ...admin, "content-type": "text/html" },
      status: 415,
    },
  ];
  for (const { edge, method = "GET", path, headers = {}, status, where = "connect" } of cases) {
    const who = edge === byPeer ? " (peers trusted)" : edge === switchedOff ? " (health off)" : "";
    const carries = headers.authorization ?? "no credentials";
    test(`${method} ${path} on ${where}${who} with ${carries}: ${status}`, async () => {
      const answer = await fetchHttp(edge.places[where], method, path, headers);
      assert.equal(answer.status, status);
      assert.doesNotMatch(answer.body, /hunter2/);
      if (status === 401 && path === "/metrics")
        assert.equal(answer.headers["www-authenticate"], "Bearer, Basic");
      if (method === "HEAD") assert.equal(answer.body, "");
    });
  }

  test("/healthz says SERVING or not, and nothing else", async () => {
    assert.equal((await fetchHttp(byToken.places.connect, "GET", "/healthz", {})).body, "SERVING\n");
    byToken.health.set("", "NOT_SERVING");
    assert.equal((await fetchHttp(byToken.places.connect, "GET", "/healthz", {})).body, "NOT_SERVING\n");
    byToken.health.set("", "SERVING");
  });
});

function refused(code: Code) {
  return (error: unknown) => error instanceof ClientError && error.code === code && error.details.length > 0;
}

async function* endless(): AsyncGenerator<string> {
  for (;;) yield "x".repeat(1_000);
}

/** One gRPC call by hand, with one message; the status that comes back first, in headers or trailers, or OK at the first message. */
async function callRaw(
  address: ListenAddress,
  method: string,
  headers: Record<string, string>,
  message: Uint8Array = Buffer.alloc(5),
): Promise<number> {
  const session = open(address);
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": `/${method}`,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    stream.end(message);
    return await new Promise((resolve, reject) => {
      const look = (found: IncomingHttpHeaders & { ":status"?: number }) => {
        if (found["grpc-status"] !== undefined) resolve(Number(found["grpc-status"]));
        // What is no RPC is plain HTTP: clients read 404 as UNIMPLEMENTED.
        if (found[":status"] === 404) resolve(Code.UNIMPLEMENTED);
      };
      stream.on("response", look);
      stream.on("trailers", look);
      stream.on("data", () => resolve(Code.OK));
      stream.on("error", reject);
      stream.on("close", () => reject(new Error("no status")));
    });
  } finally {
    session.destroy();
  }
}

function open(
  address: ListenAddress,
): Http2Session & { request: ReturnType<typeof connectHttp2>["request"] } {
  if (address.kind === "tcp") return connectHttp2(`http://${address.host}:${address.port}`);
  return connectHttp2("http://localhost", { createConnection: () => connectSocket(address.path) });
}

async function fetchHttp(
  address: ListenAddress,
  method: string,
  path: string,
  headers: Record<string, string>,
) {
  const where =
    address.kind === "tcp" ? { host: address.host, port: address.port } : { socketPath: address.path };
  const request = httpRequest({ ...where, method, path, headers, agent: false }).end();
  const response = await new Promise<import("node:http").IncomingMessage>((resolve, reject) => {
    request.once("response", resolve);
    request.once("error", reject);
  });
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}
