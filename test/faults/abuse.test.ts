import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileKind, UploadFileRequestSchema } from "../../gen/haplane/v1/storage_pb.js";
import type { ListenAddress } from "../../src/rpc/listener.ts";
import {
  continuation,
  data,
  frame,
  grpcMessage,
  hasEnded,
  headers,
  openRaw,
  openSocket,
  PREFACE,
  ping,
  type RawPeer,
  reset,
  settings,
} from "../contract/edge/raw-http2.ts";
import { createAuthority } from "../support/certificates.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { type Held, type Inspector, inspect } from "../support/inspector.ts";
import { preamble } from "../support/preamble.ts";
import { root } from "../support/programs.ts";
import { eventually, waitFor } from "../support/wait.ts";

/** What may stay: V8 keeps code and maps of what ran, and a cache or two fills up. A round of any script below sends or asks for far more. */
const MAX_KEPT = 8 * 1024 * 1024;
/** Timers come and go by themselves. */
const MAX_TIMERS = 3;

const dir = mkdtempSync(join(tmpdir(), "haplane-abuse-"));
let haplane: TestHaplane;
let inspector: Inspector;
let grpc: Record<string, string>;
before(async () => {
  const issued = createAuthority().issue(["localhost"]);
  writeFileSync(join(dir, "cert.pem"), issued.certificate);
  writeFileSync(join(dir, "key.pem"), issued.key, { mode: 0o600 });
  haplane = await startHaplane(
    (statsSocket) => `${preamble(statsSocket)}backend site\n`,
    [
      ...[`--tls-certificate=${join(dir, "cert.pem")}`, `--tls-key=${join(dir, "key.pem")}`],
      ...[
        "--upload-idle=1",
        "--keepalive-interval=1",
        "--keepalive-timeout=1",
        "--max-message-bytes=1048576",
      ],
    ],
    { command: [process.execPath, "--inspect=127.0.0.1:0", "--expose-gc", join(root, "src", "main.ts")] },
  );
  inspector = await inspect(haplane.pid, haplane.log());
  const token = readFileSync(join(haplane.dir, "state", "admin.token"), "utf8").trim();
  grpc = { "content-type": "application/grpc", authorization: `Bearer ${token}` };
});
after(async () => {
  inspector?.close();
  await haplane?.stop();
  rmSync(dir, { recursive: true });
});

const VERSION = "/haplane.v1.Configuration/GetVersion";
const WATCH = "/haplane.v1.Events/Watch";
const STATS = "/haplane.v1.Runtime/WatchStats";
const UPLOAD = "/haplane.v1.Storage/UploadFile";
const EMPTY = grpcMessage(Buffer.alloc(0));
/** 64 KB that become 64 MB. */
const BOMB = grpcMessage(gzipSync(Buffer.alloc(64 * 1024 * 1024)), { compressed: 1 });

const SOCKETS = ["grpc.sock", "connect.sock"] as const;
const socketAt = (name: string): ListenAddress => ({ kind: "unix", path: join(haplane.dir, "state", name) });
const portOf = (place: "grpc" | "connect"): ListenAddress => ({
  ...{ kind: "tcp", host: "127.0.0.1" },
  port: haplane.ports[place],
});

/** A body in frames that no receiver finds too large. */
function pieces(stream: number, bytes: Buffer, end = true): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 16_000)
    found.push(data(stream, bytes.subarray(at, at + 16_000), end && at + 16_000 >= bytes.length));
  return found;
}

/** Lets the other side have its turn. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function gone(socket: Socket): Promise<void> {
  await waitFor("the connection to be closed", () => socket.closed || socket.destroyed);
}

/** Opens some connections, does something on each, and cuts them off. */
async function onEach(
  address: ListenAddress,
  count: number,
  act: (peer: RawPeer) => Promise<void> | void,
): Promise<void> {
  const all = await Promise.all(Array.from({ length: count }, () => openRaw(address)));
  for (const peer of all) await act(peer);
  for (const peer of all) peer.socket.destroy();
}

/** What a peer does by HTTP/2, on the sockets of both stacks; `size` is how much of it. */
const SCRIPTS: Readonly<Record<string, (address: ListenAddress, size: number) => Promise<void>>> = {
  "calls opened and reset": (address, size) =>
    onEach(address, 5, async (peer) => {
      for (let n = 0; n < 300 * size && !peer.socket.closed; n += 1) {
        peer.send(headers(2 * n + 1, VERSION, grpc), reset(2 * n + 1));
        if (n % 50 === 0) await turn();
      }
    }),
  "settings and pings in a flood, answers unread": (address, size) =>
    onEach(address, 3, async (peer) => {
      peer.socket.pause();
      const flood = Buffer.concat(Array.from({ length: 1_000 }, () => [ping(), settings()]).flat());
      for (let n = 0; n < 10 * size && !peer.socket.closed; n += 1) {
        peer.send(flood);
        await turn();
      }
    }),
  "headers without end": (address, size) =>
    onEach(address, 3, async (peer) => {
      peer.send(frame(1, 0, 1, headers(1, VERSION, grpc).subarray(9)));
      for (let n = 0; n < 1_000 * size && !peer.socket.closed; n += 1) {
        peer.send(continuation(1, `x-${n}`, "y".repeat(1_000)));
        if (n % 100 === 0) await turn();
      }
    }),
  "windows of one byte": (address, size) =>
    onEach(address, 10 * size, (peer) => {
      peer.send(settings({ 4: 1 }), headers(1, STATS, grpc), data(1, EMPTY, true));
      peer.send(headers(3, WATCH, grpc), data(3, grpcMessage(Buffer.of(0x08, 0x01)), true));
    }),
  "malformed messages": (address, size) =>
    onEach(address, 5, async (peer) => {
      const bad = [
        grpcMessage(Buffer.from("abc"), { length: 100 }),
        grpcMessage(Buffer.from("abc"), { length: 0xffffffff }),
        grpcMessage(Buffer.alloc(100_000, 0x0b)),
        grpcMessage(Buffer.alloc(100, 0xff)),
        grpcMessage(Buffer.alloc(0), { compressed: 7 }),
        Buffer.concat([EMPTY, EMPTY]),
      ];
      for (let n = 0; n < 30 * size; n += 1) {
        const stream = 2 * n + 1;
        peer.send(headers(stream, VERSION, grpc), ...pieces(stream, bad[n % bad.length]!));
        await turn();
      }
    }),
  "compressed bombs": (address, size) =>
    onEach(address, 2, async (peer) => {
      for (let n = 0; n < 5 * size; n += 1) {
        const stream = 2 * n + 1;
        peer.send(headers(stream, VERSION, { ...grpc, "grpc-encoding": "gzip" }), ...pieces(stream, BOMB));
        await turn();
      }
    }),
  "calls begun and abandoned": (address, size) =>
    onEach(address, 20 * size, (peer) => {
      for (let n = 0; n < 10; n += 1) peer.send(headers(2 * n + 1, VERSION, grpc));
      peer.send(headers(21, WATCH, grpc), data(21, EMPTY, true));
    }),
  "peers that answer no ping": async (address, size) => {
    const all = await Promise.all(Array.from({ length: 20 * size }, () => openRaw(address)));
    for (const peer of all) peer.send(headers(1, WATCH, grpc), data(1, EMPTY, true));
    for (const { socket } of all) await gone(socket);
  },
  "uploads that are abandoned, and that rest": async (address, size) => {
    const header = { kind: FileKind.GENERAL, storageName: "abandoned" };
    const begin = create(UploadFileRequestSchema, { part: { case: "header", value: header } });
    const piece = create(UploadFileRequestSchema, { part: { case: "data", value: Buffer.alloc(100_000) } });
    const begun = (peer: RawPeer) => {
      peer.send(headers(1, UPLOAD, grpc), data(1, grpcMessage(toBinary(UploadFileRequestSchema, begin))));
      peer.send(...pieces(1, grpcMessage(toBinary(UploadFileRequestSchema, piece)), false));
    };
    await onEach(address, 10 * size, begun);
    const resting = await openRaw(address);
    begun(resting);
    await waitFor("the upload to be ended", () => hasEnded(resting.received(), 1));
    resting.socket.destroy();
  },
};

/** What happens before anything is said that could be a call. */
const ON_TCP: Readonly<Record<string, (address: ListenAddress, size: number) => Promise<void>>> = {
  "1,000 connections that say nothing": async (address, size) => {
    for (let n = 0; n < 4 * size; n += 1) {
      const all = await Promise.all(Array.from({ length: 250 }, () => openSocket(address)));
      for (const socket of all) socket.destroy();
    }
  },
  "handshakes of TLS that stop halfway": async (address, size) => {
    const hello = Buffer.from("16030100a5010000a10303", "hex");
    const all = await Promise.all(Array.from({ length: 50 * size }, () => openSocket(address)));
    for (const socket of all) socket.write(hello);
    await turn();
    for (const socket of all) socket.destroy();
  },
  "plain text where TLS is spoken": async (address, size) => {
    assert.ok(address.kind === "tcp");
    const all = Array.from({ length: 50 * size }, () => connect(address.port, address.host));
    for (const socket of all)
      socket
        .on("error", () => {})
        .resume()
        .write(PREFACE);
    for (const socket of all) await gone(socket);
  },
};

/** Does what clients do, so that what is made once is made. */
async function warmUp(): Promise<void> {
  for (const name of SOCKETS) for (const script of Object.values(SCRIPTS)) await script(socketAt(name), 1);
  for (const place of ["grpc", "connect"] as const)
    for (const script of Object.values(ON_TCP)) await script(portOf(place), 1);
}

/** Fails while more is held than before. */
function assertBack(now: Held, before: Held): void {
  for (const [kind, count] of Object.entries(now.resources)) {
    const most = (before.resources[kind] ?? 0) + (/^(Timeout|Immediate)$/.test(kind) ? MAX_TIMERS : 0);
    assert.ok(count <= most, `${count} of ${kind}, ${before.resources[kind] ?? 0} before`);
  }
  assert.ok(now.files <= before.files, `${now.files} open files, ${before.files} before`);
  const kept = now.memory - before.memory;
  assert.ok(kept < MAX_KEPT, `${kept} bytes more than the ${before.memory} before`);
}

describe("what a peer makes haplane hold is given back", () => {
  let idle: Held;
  before(async () => {
    await warmUp();
    await haplane.call("haplane.v1.Configuration/GetVersion");
    await waitFor("the connections to be closed", async () => {
      const first = await inspector.held();
      await new Promise((resolve) => setTimeout(resolve, 500));
      idle = await inspector.held();
      return first.files === idle.files && idle.files < 60;
    });
  });

  const back = async () => {
    await eventually(async () => assertBack(await inspector.held(), idle), { everyMs: 100 });
    await haplane.call("haplane.v1.Configuration/GetVersion");
  };

  for (const [name, script] of Object.entries(SCRIPTS))
    for (const socket of SOCKETS)
      test(`${name} (${socket})`, async () => {
        await script(socketAt(socket), 3);
        await back();
      });
  for (const [name, script] of Object.entries(ON_TCP))
    for (const place of ["grpc", "connect"] as const)
      test(`${name} (${place})`, async () => {
        await script(portOf(place), 1);
        await back();
      });

  test("and no file, call or defect is left", async () => {
    assert.deepEqual(readdirSync(join(haplane.dir, "general")), []);
    const metrics = await haplane.metrics();
    for (const [line, count] of metrics.matchAll(/^haplane_rpc_in_flight\{.*\} (\d+)$/gm))
      assert.equal(count, "0", line);
    assert.doesNotMatch(haplane.log(), /"level":"(error|fatal)"/);
  });
});
