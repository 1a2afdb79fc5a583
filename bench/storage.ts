/**
 * What storing and sending files costs beside a bare grpc-js stream that hashes, writes durably and reads the same bytes; what a small change of a large map costs beside the same commands on a raw socket; and that what
 * has not changed is not read again. The servers of the streams are processes of their own and take turns.
 */

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import * as nodeFs from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { create, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import {
  DownloadFileRequestSchema,
  FileKind,
  UploadFileRequestSchema,
} from "../gen/haplane/v1/storage_pb.js";
import type { Bench, BenchContext, Measurement } from "../scripts/bench/bench.ts";
import type { StorageFs } from "../src/storage/file-system.ts";
import { createAuthority } from "../test/support/certificates.ts";
import { endChild } from "../test/support/child.ts";
import { startHaplane } from "../test/support/haplane.ts";
import { freePort } from "../test/support/ports.ts";
import { storageWorld, store } from "../test/support/storage-world.ts";

const PIECE = Buffer.alloc(65_536, "haplane ");
const PIECES = 1_024;
const LARGE_PIECES = 16_384;
const ROUNDS = 7;
const MIB = 1024 * 1024;
const ENTRIES = 100_000;
const CHANGES = 100;
const MAP_ROUNDS = 9;
const CERTIFICATES = 1_000;

const storage: Bench = async (context) => {
  context.log(`uploads and downloads of ${(PIECES * PIECE.length) / MIB} MB`);
  const streams = await streamed(context);
  context.log(`a map of ${ENTRIES} entries, ${CHANGES} changed`);
  const map = await mapChange(context);
  context.log(`a list of ${CERTIFICATES} certificates`);
  return [...streams, ...map, ...(await listing())];
};

export default storage;

/** A way to send and get the same bytes. */
interface Side {
  readonly upload: string;
  readonly download: string;
  readonly client: grpc.Client;
  readonly metadata: grpc.Metadata;
}

async function streamed(context: BenchContext): Promise<Measurement[]> {
  await using cleanup = new AsyncDisposableStack();
  const haplane = await startHaplane(
    (statsSocket) => `global
    stats socket ${statsSocket} mode 600 level admin expose-fd listeners
`,
  );
  cleanup.defer(() => haplane.stop());
  const bareDirectory = await nodeFs.mkdtemp(join(context.directory, "bare-"));
  const bareSocket = join(bareDirectory, "bare.sock");
  const script = fileURLToPath(new URL("storage/bare.ts", import.meta.url));
  const child = spawn(process.execPath, [script, bareSocket, bareDirectory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  cleanup.defer(() => endChild(child, "SIGTERM", 2_000));
  await once(child.stdout, "data");

  const token = (await nodeFs.readFile(join(haplane.dir, "state", "admin.token"), "utf8")).trim();
  const authorized = new grpc.Metadata();
  authorized.set("authorization", `Bearer ${token}`);
  const clientOf = (socket: string) => {
    const client = new grpc.Client(`unix:${socket}`, grpc.credentials.createInsecure(), {
      "grpc.max_receive_message_length": -1,
      "grpc-node.flow_control_window": MIB,
    });
    cleanup.defer(() => client.close());
    return client;
  };
  const ours: Side = {
    ...{ upload: "/haplane.v1.Storage/UploadFile", download: "/haplane.v1.Storage/DownloadFile" },
    ...{ client: clientOf(join(haplane.dir, "state", "grpc.sock")), metadata: authorized },
  };
  const bare: Side = {
    ...{ upload: "/bare/Upload", download: "/bare/Download" },
    ...{ client: clientOf(bareSocket), metadata: new grpc.Metadata() },
  };

  const times = {
    ours: { up: [] as number[], down: [] as number[] },
    bare: { up: [] as number[], down: [] as number[] },
  };
  const messages = [...messagesOf(PIECES)];
  const request = toBinary(
    DownloadFileRequestSchema,
    create(DownloadFileRequestSchema, { name: "files/general/bench.bin" }),
  );
  for (let round = -1; round < ROUNDS; round++) {
    for (const [name, side] of Object.entries({ ours, bare }) as ["ours" | "bare", Side][]) {
      const up = await timed(() => upload(side, messages));
      const down = await timed(() => download(side, Buffer.from(request)));
      if (round < 0) continue;
      times[name].up.push(up);
      times[name].down.push(down);
    }
  }
  const rate = (all: readonly number[]) => (PIECES * PIECE.length) / MIB / (median(all) / 1_000);

  const small = await peakOf(haplane.pid, () => upload(ours, messages));
  const large = await peakOf(haplane.pid, () => upload(ours, messagesOf(LARGE_PIECES)));
  return [
    {
      ...{ case: "upload", value: rate(times.ours.up), unit: "MB/s", bound: rate(times.bare.up) },
      ...{ target: 0.5, better: "more" },
    },
    {
      ...{ case: "download", value: rate(times.ours.down), unit: "MB/s", bound: rate(times.bare.down) },
      ...{ target: 0.5, better: "more" },
    },
    { case: "peak memory, upload of 1 GB beside 64 MB", value: large, unit: "MB", bound: small, target: 1.3 },
  ];
}

/** The messages of an upload, made as they are asked for: a gigabyte of them would not fit. */
function* messagesOf(count: number): Generator<Buffer> {
  const encode = (part: Parameters<typeof create<typeof UploadFileRequestSchema>>[1]) =>
    Buffer.from(toBinary(UploadFileRequestSchema, create(UploadFileRequestSchema, part)));
  yield encode({ part: { case: "header", value: { kind: FileKind.GENERAL, storageName: "bench.bin" } } });
  const data = encode({ part: { case: "data", value: PIECE } });
  for (let index = 0; index < count; index++) yield data;
  yield encode({ part: { case: "trailer", value: { sha256: checksumOf(count) } } });
}

function checksumOf(count: number): string {
  const hash = createHash("sha256");
  for (let index = 0; index < count; index++) hash.update(PIECE);
  return hash.digest("hex");
}

const asIs = (bytes: Buffer) => bytes;

function upload({ upload: path, client, metadata }: Side, messages: Iterable<Buffer>): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = client.makeClientStreamRequest<Buffer, Buffer>(path, asIs, asIs, metadata, (error) =>
      error === null ? resolve() : reject(error),
    );
    const send = async () => {
      for (const message of messages)
        if (!call.write(message)) await new Promise((drained) => call.once("drain", drained));
      call.end();
    };
    send().catch(reject);
  });
}

function download({ download: path, client, metadata }: Side, request: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = client.makeServerStreamRequest<Buffer, Buffer>(path, asIs, asIs, request, metadata);
    let size = 0;
    call.on("data", (message: Buffer) => {
      size += message.length;
    });
    call.on("error", reject);
    call.on("end", () =>
      size >= PIECES * PIECE.length ? resolve() : reject(new Error(`only ${size} bytes came`)),
    );
  });
}

/** The most memory that a process holds while something is done, in MB. */
async function peakOf(pid: number, act: () => Promise<void>): Promise<number> {
  // 5 resets the peak (proc(5), clear_refs).
  await nodeFs.writeFile(`/proc/${pid}/clear_refs`, "5");
  await act();
  const status = await nodeFs.readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

async function mapChange({ log }: BenchContext): Promise<Measurement[]> {
  const lines = (round: number) =>
    Array.from(
      { length: ENTRIES },
      (_, index) =>
        `/path/${index} ${index % (ENTRIES / CHANGES) === 0 ? `round-${round}` : `backend-${index % 100}`}`,
    );
  const textOf = (round: number) => `${lines(round).join("\n")}\n`;
  await using world = await storageWorld(
    ({ maps }) => `defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
listen www
  bind unix@${maps}/../www.sock
  http-request set-header x-ours %[path,map(${maps}/ours.map)]
  http-request set-header x-raw %[path,map(${maps}/raw.map)]
`,
    async ({ maps }) => {
      for (const name of ["ours.map", "raw.map"]) await nodeFs.writeFile(join(maps, name), textOf(0));
    },
  );
  const { storage: files } = await world.begin();
  const raw = join(world.paths.maps, "raw.map");
  const [ours, bound]: [number[], number[]] = [[], []];
  for (let round = 1; round <= MAP_ROUNDS; round++) {
    const text = Buffer.from(textOf(round));
    ours.push(
      await timed(async () => {
        const { applied } = await store(files, { kind: "maps", name: "ours.map" }, text);
        if (applied.via !== "runtime") throw new Error(`it took a ${applied.via}`);
      }),
    );
    const commands = Array.from(
      { length: CHANGES },
      (_, index) => `set map ${raw} /path/${(index * ENTRIES) / CHANGES} round-${round}\n`,
    );
    bound.push(
      await timed(async () => {
        await rawCommands(join(world.paths.maps, "..", "stats.sock"), commands);
        await nodeFs.readFile(raw);
      }),
    );
    log(`round ${round}: ${ours.at(-1)?.toFixed(0)} ms, raw ${bound.at(-1)?.toFixed(0)} ms`);
  }
  return [
    {
      case: `${CHANGES} of ${ENTRIES} map entries live`,
      ...{ value: median(ours), unit: "ms", bound: median(bound), target: 3 },
    },
  ];
}

/** Sends commands over one connection in prompt mode, all at once, and waits for their answers. */
function rawCommands(socketPath: string, commands: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: socketPath });
    let answers = -1;
    socket.on("error", reject);
    socket.on("data", (data) => {
      answers += data.toString("latin1").split("\n> ").length - 1;
      if (answers < commands.length) return;
      socket.destroy();
      resolve();
    });
    socket.write(`prompt\n${commands.join("")}`);
  });
}

async function listing(): Promise<Measurement[]> {
  let opened = 0;
  const fs = {
    ...nodeFs,
    open(...args: Parameters<StorageFs["open"]>) {
      opened += 1;
      return nodeFs.open(...args);
    },
  } as StorageFs;
  const port = await freePort();
  const { certificate, key } = createAuthority().issue(["bench.test"]);
  await using world = await storageWorld(
    () => `listen www
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
  bind 127.0.0.1:${port}
`,
    async ({ sslCerts }) => {
      for (let index = 0; index < CERTIFICATES; index++)
        await nodeFs.writeFile(join(sslCerts, `c${index}.pem`), certificate + key);
    },
  );
  const { storage: files } = await world.begin({ fs });
  const list = async () => files.describe(await files.list("certificates"));
  const first = await timed(async () => void (await list()));
  opened = 0;
  const again = await timed(async () => void (await list()));
  return [
    {
      case: `files read for a list of ${CERTIFICATES} unchanged certificates`,
      value: opened,
      unit: "files",
      bound: 1,
      target: 0,
    },
    { case: "that list", value: again, unit: "ms" },
    { case: "the first list", value: first, unit: "ms" },
  ];
}

async function timed(act: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await act();
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
