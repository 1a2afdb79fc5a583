import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { status as Code } from "@grpc/grpc-js";
import { waitFor } from "../../support/wait.ts";
import { ClientError, stacks } from "./clients.ts";
import { startEdge, type TestEdge, tokens } from "./harness.ts";

const token = tokens.admin;

function exhausted(error: unknown): boolean {
  return error instanceof ClientError && error.code === Code.RESOURCE_EXHAUSTED;
}

for (const stack of stacks) {
  describe(`limits over ${stack.name}`, () => {
    test("calls of one peer", async (t) => {
      const edge = await startEdge({ edgeLimits: { maxCallsPerPeer: 2 } });
      t.after(() => edge.close());
      let handled = 0;
      const release = Promise.withResolvers<void>();
      edge.handlers.say = async ({ value }) => {
        handled += 1;
        await release.promise;
        return { value };
      };
      const client = stack.open(edge.places[stack.place]);
      t.after(() => client.close());
      const open = [client.unary("Say", "a", { token }), client.unary("Say", "b", { token })];
      await waitFor("both to be handled", () => handled === 2);
      await assert.rejects(client.unary("Say", "c", { token }), exhausted);
      assert.equal(handled, 2, "what is refused does not reach the handler");
      assert.equal(await edge.metric("haplane_rpc_limited_total", { limit: "max_calls_per_peer" }), 1);
      release.resolve();
      assert.deepEqual(await Promise.all(open), ["a", "b"]);
      assert.equal(await client.unary("Say", "d", { token }), "d", "and then it goes on");
    });

    test("the size of an upload, and how long it rests", async (t) => {
      const edge = await startEdge({ edgeLimits: { maxUploadBytes: 100, uploadIdleMs: 400 } });
      t.after(() => edge.close());
      const client = stack.open(edge.places[stack.place]);
      t.after(() => client.close());
      assert.equal(await client.upload(pieces("x".repeat(40), "y"), { token }), `${"x".repeat(40)}y`);
      await assert.rejects(client.upload(pieces("x".repeat(60), "y".repeat(60)), { token }), exhausted);
      await assert.rejects(client.upload(resting(), { token }), exhausted);
      await waitFor("no call to be left", async () => (await edge.metric("haplane_rpc_in_flight")) === 0);
    });

    test("the size of a message", async (t) => {
      const edge = await startEdge({ limits: { maxRequestBytes: 1_000 } });
      t.after(() => edge.close());
      const client = stack.open(edge.places[stack.place]);
      t.after(() => client.close());
      await assert.rejects(client.unary("Say", "x".repeat(2_000), { token }), exhausted);
      assert.equal(await edge.metric("haplane_rpc_limited_total", { limit: "max_message_bytes" }), 1);
    });
  });
}

async function* pieces(...texts: readonly string[]): AsyncGenerator<string> {
  yield* texts;
}

async function* resting(): AsyncGenerator<string> {
  yield "begun";
  await new Promise(() => {});
}

describe("passwords that are guessed", () => {
  test("make the address wait, on both stacks together", async (t) => {
    const edge = await startEdge({ edgeLimits: { maxFailedLogins: 2 } });
    t.after(() => edge.close());
    const guess = (place: "connect" | "connectSocket", path: string) =>
      ask(edge, place, "POST", path, {
        authorization: `Basic ${Buffer.from("a:b").toString("base64")}`,
        "content-type": "application/json",
      });
    const say = "/haplane.test.v1.Echo/Say";
    assert.equal((await guess("connect", say)).status, 401);
    assert.equal((await guess("connect", say)).status, 401);
    const waiting = await guess("connect", say);
    assert.equal(waiting.status, 429);
    assert.match(waiting.body, /too many wrong passwords/);
    assert.equal((await guess("connectSocket", say)).status, 401, "the socket is not concerned");
    const scrape = { authorization: `Basic ${Buffer.from("a:b").toString("base64")}` };
    assert.equal((await ask(edge, "connect", "GET", "/metrics", scrape)).status, 429);
    assert.equal(await edge.metric("haplane_authentication_failures_total", { scheme: "basic" }), 3);
  });
});

describe("pages of other origins", () => {
  const panel = "https://panel.example.com";
  const preflight = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization",
  };
  const say = "/haplane.test.v1.Echo/Say";

  test("may call from listed origins, and from no other", async (t) => {
    const edge = await startEdge({ origins: [panel] });
    t.after(() => edge.close());
    const asked = await ask(edge, "connect", "OPTIONS", say, { origin: panel, ...preflight });
    assert.equal(asked.status, 204);
    assert.equal(asked.headers["access-control-allow-origin"], panel);
    assert.match(String(asked.headers["access-control-allow-headers"]), /Authorization/);
    assert.equal(asked.headers["access-control-allow-credentials"], undefined);
    const called = await ask(
      edge,
      "connect",
      "POST",
      say,
      {
        ...{ origin: panel, authorization: `Bearer ${token}`, "content-type": "application/json" },
      },
      '"x"',
    );
    assert.equal(called.body, '"x"');
    assert.equal(called.headers["access-control-allow-origin"], panel);
    assert.match(String(called.headers["access-control-expose-headers"]), /grpc-status/i);
    assert.equal(called.headers.vary, "Origin");
    for (const origin of [
      "https://evil.example",
      "null",
      `${panel}.evil.example`,
      "https://panel.example.com:444",
    ]) {
      const other = await ask(edge, "connect", "OPTIONS", say, { origin, ...preflight });
      assert.notEqual(other.status, 204, origin);
      assert.equal(other.headers["access-control-allow-origin"], undefined, origin);
    }
  });

  test("may not by default", async (t) => {
    const edge = await startEdge();
    t.after(() => edge.close());
    const { status, headers } = await ask(edge, "connect", "OPTIONS", say, { origin: panel, ...preflight });
    assert.notEqual(status, 204);
    assert.equal(headers["access-control-allow-origin"], undefined);
  });
});

async function ask(
  edge: TestEdge,
  place: "connect" | "connectSocket",
  method: string,
  path: string,
  headers: Record<string, string>,
  body = "",
) {
  const address = edge.places[place];
  const where =
    address.kind === "tcp" ? { host: address.host, port: address.port } : { socketPath: address.path };
  const sent = httpRequest({ ...where, method, path, headers, agent: false });
  sent.end(body);
  const response = await new Promise<import("node:http").IncomingMessage>((resolve, reject) => {
    sent.once("response", resolve);
    sent.once("error", reject);
  });
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}
