import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type ClientHttp2Session, connect } from "node:http2";
import { connect as connectSocket } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { type DescMethod, type DescService, toBinary, toJsonString } from "@bufbuild/protobuf";
import { status as Code } from "@grpc/grpc-js";
import { Configuration } from "../../gen/haplane/v1/configuration_pb.js";
import { Events } from "../../gen/haplane/v1/events_pb.js";
import { Runtime } from "../../gen/haplane/v1/runtime_pb.js";
import { ServiceDiscovery } from "../../gen/haplane/v1/service_discovery_pb.js";
import { Spoe } from "../../gen/haplane/v1/spoe_pb.js";
import { Storage } from "../../gen/haplane/v1/storage_pb.js";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { haproxyBinary } from "../support/haproxy.ts";
import { hostileMessage, INJECTED, type Random, seeded } from "../support/hostile-messages.ts";
import { freePort } from "../support/ports.ts";
import { preamble } from "../support/preamble.ts";
import { residentKb } from "../support/process-use.ts";

/** How long; `npm run soak` says more. */
const SECONDS = Number(process.env.HAPLANE_SOAK_SECONDS ?? 60);
const SEED = Number(process.env.HAPLANE_SEED ?? Date.now() % 1_000_000);
const AT_ONCE = 8;
/** How long each call may take, as it says itself. */
const DEADLINE_MS = 3_000;
/** How much later an answer may come on a machine that is busy; then there is none. */
const PATIENCE_MS = 30_000;
/** What haplane may hold when all is over. It has 150 MB or so before. */
const MAX_RSS = 600 * 1024 * 1024;

const SERVICES: readonly DescService[] = [Configuration, ServiceDiscovery, Storage, Spoe, Runtime, Events];
const METHODS = SERVICES.flatMap(({ methods }) => methods);

/** What says that we have a defect: these codes, and no code at all. */
const DEFECTS: ReadonlySet<string> = new Set(["INTERNAL", "UNKNOWN", "DATA_LOSS", "no answer", "closed"]);

let haplane: TestHaplane;
let worker: number;
before(async () => {
  const port = await freePort();
  haplane = await startHaplane(
    (statsSocket) => `${preamble(statsSocket)}frontend main
  bind 127.0.0.1:${port}
  default_backend site
backend site
  server one 127.0.0.1:1
`,
  );
  worker = (await haplane.worker()).pid;
  mkdirSync(join(haplane.dir, "outside"));
  writeFileSync(join(haplane.dir, "outside", "canary"), "sings");
});
after(() => haplane?.stop());

function open(socket: string): ClientHttp2Session {
  const path = join(haplane.dir, "state", socket);
  const session = connect("http://localhost", { createConnection: () => connectSocket(path) });
  session.on("error", () => {});
  return session;
}

/** Calls a method by gRPC: the name of the code, or why there is none. What lasts is told to end by the deadline. */
function call(session: ClientHttp2Session, method: DescMethod, body: Buffer, token: string): Promise<string> {
  return new Promise((resolve) => {
    const stream = session.request({
      ":method": "POST",
      ":path": `/${method.parent.typeName}/${method.name}`,
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-timeout": `${DEADLINE_MS}m`,
      authorization: `Bearer ${token}`,
    });
    const timer = setTimeout(() => {
      stream.close();
      resolve("no answer");
    }, DEADLINE_MS + PATIENCE_MS);
    const look = (found: object) => {
      const status = (found as Record<string, string>)["grpc-status"];
      if (status !== undefined) resolve(Code[Number(status)] ?? status);
    };
    stream.on("response", look);
    stream.on("trailers", look);
    stream.on("data", () => {
      // A stream that goes on has answered enough.
      if (method.methodKind !== "server_streaming") return;
      resolve("OK");
      stream.close();
    });
    stream.on("error", () => {});
    stream.on("close", () => {
      clearTimeout(timer);
      resolve("closed");
    });
    stream.end(body);
  });
}

/** The same by Connect's JSON, where the message has a JSON form. */
function callJson(
  session: ClientHttp2Session,
  method: DescMethod,
  json: string,
  token: string,
): Promise<string> {
  return new Promise((resolve) => {
    const stream = session.request({
      ":method": "POST",
      ":path": `/${method.parent.typeName}/${method.name}`,
      "content-type": "application/json",
      "connect-timeout-ms": String(DEADLINE_MS),
      authorization: `Bearer ${token}`,
    });
    const timer = setTimeout(() => {
      stream.close();
      resolve("no answer");
    }, DEADLINE_MS + PATIENCE_MS);
    stream.on("response", (headers) => resolve(headers[":status"] === 500 ? "INTERNAL" : "OK"));
    stream.on("error", () => {});
    stream.on("close", () => {
      clearTimeout(timer);
      resolve("closed");
    });
    stream.resume();
    stream.end(json);
  });
}

function framed(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** A body for a method: some messages, sometimes cut, sometimes with a bit turned. */
function bodyOf({ input, methodKind }: DescMethod, random: Random): Buffer {
  const count = methodKind === "client_streaming" ? 1 + Math.floor(random() * 3) : 1;
  const messages = Array.from({ length: count }, () => toBinary(input, hostileMessage(input, random)));
  const body = Buffer.concat(messages.map(framed));
  if (random() < 0.05) return body.subarray(0, Math.floor(random() * body.length));
  if (random() < 0.05 && body.length > 5) {
    const at = 5 + Math.floor(random() * (body.length - 5));
    body.writeUInt8(body.readUInt8(at) ^ (1 << Math.floor(random() * 8)), at);
  }
  return body;
}

function jsonOf({ input }: DescMethod, random: Random): string | undefined {
  try {
    return toJsonString(input, hostileMessage(input, random));
  } catch {
    // Numbers of unknown enum values and durations out of range have none.
    return undefined;
  }
}

test(`no request harms haplane, HAProxy or a file (${SECONDS} s, seed ${SEED})`, async (t) => {
  const token = readFileSync(join(haplane.dir, "state", "admin.token"), "utf8").trim();
  const until = performance.now() + SECONDS * 1_000;
  const defects = new Map<string, string>();
  const called = new Set<DescMethod>();
  const seen = new Map<string, number>();
  let count = 0;

  async function run(random: Random): Promise<void> {
    const [grpc, connected] = [open("grpc.sock"), open("connect.sock")];
    for (let n = 0; performance.now() < until; n += 1) {
      const method = METHODS[Math.floor(random() * METHODS.length)]!;
      called.add(method);
      const json = method.methodKind === "unary" && n % 4 === 3 ? jsonOf(method, random) : undefined;
      const code =
        json === undefined
          ? await call(grpc, method, bodyOf(method, random), token)
          : await callJson(connected, method, json, token);
      count += 1;
      seen.set(code, (seen.get(code) ?? 0) + 1);
      if (DEFECTS.has(code)) defects.set(`${method.parent.name}.${method.name}`, code);
      assert.ok(!grpc.destroyed, "the connection is not lost");
    }
    grpc.destroy();
    connected.destroy();
  }
  await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => run(seeded(SEED + index))));
  t.diagnostic(`${count} calls: ${[...seen].map(([code, times]) => `${code} ${times}`).join(", ")}`);

  assert.deepEqual([...defects], [], `seed ${SEED}; ${defectLines().slice(0, 3).join("\n")}`);
  assert.deepEqual(
    METHODS.filter((method) => !called.has(method)).map(({ name }) => name),
    [],
    "every method was tried",
  );
  await haplane.call("haplane.v1.Configuration/GetVersion");
  assert.match(await haplane.ask("show info"), /^Name: HAProxy/m);
  assert.ok((await haplane.worker()).pid > 0, `the first worker was ${worker}`);

  const file = readFileSync(haplane.config, "utf8");
  assert.doesNotMatch(file, new RegExp(`^\\s*${INJECTED}`, "m"));
  const { status, stderr } = spawnSync(haproxyBinary, ["-c", "-f", haplane.config], { encoding: "utf8" });
  assert.equal(status, 0, `HAProxy refuses the file: ${stderr}`);

  for (const line of haplane
    .log()
    .split("\n")
    .filter((one) => one !== "")) {
    const parsed = JSON.parse(line) as { level?: unknown };
    assert.equal(typeof parsed.level, "string", "every line of the log is one of ours");
  }
  assert.equal(readFileSync(join(haplane.dir, "outside", "canary"), "utf8"), "sings");
  for (const place of [haplane.dir, join(haplane.dir, ".."), join(haplane.dir, "state")])
    assert.ok(!existsSync(join(place, "canary")), `nothing was written to ${place}`);
  const known = /^(haproxy\.cfg|haplane\.log|stats\.sock|state|outside|ssl-certs|maps|general|spoe)$/;
  assert.deepEqual(
    readdirSync(haplane.dir).filter((name) => !known.test(name) && !name.startsWith(".")),
    [],
  );
  const rss = residentKb(haplane.pid) * 1024;
  t.diagnostic(`haplane holds ${Math.round(rss / 1024 / 1024)} MB`);
  assert.ok(rss < MAX_RSS, `haplane holds ${rss} bytes`);
});

function defectLines(): string[] {
  return haplane
    .log()
    .split("\n")
    .filter((line) => line.includes('"level":"error"'))
    .map((line) => line.slice(0, 1_500));
}
