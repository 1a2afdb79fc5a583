/**
 * What the configuration's answers cost beside a bare grpc-js handler that returns the same ready bytes; what a desired state costs beside reading the same text; and whether many writers get in
 * each other's way. Servers are processes of their own and take turns, so that a busy moment of the machine meets both.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { create, type DescMethod, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import {
  Configuration,
  GetRequestSchema,
  ListRequestSchema,
  type Resource,
  ResourceSchema,
} from "../gen/haplane/v1/configuration_pb.js";
import type { Bench, BenchContext, Measurement } from "../scripts/bench/bench.ts";
import { applyRequest } from "../src/config/apply-request.ts";
import { createEtags } from "../src/config/etag.ts";
import { configGrammar } from "../src/grammar/config-grammar.ts";
import { sectionMessage } from "../src/grammar/section-message.ts";
import { Document } from "../src/text/document.ts";
import { endChild } from "../test/support/child.ts";
import { configurationClient } from "../test/support/configuration-client.ts";
import { startHaplane, type TestHaplane } from "../test/support/haplane.ts";

const ROUNDS = 12;
const WARM_UP = 8;
const CALLS = 1_000;
const AT_ONCE = 16;
const APPLY_ROUNDS = 15;
const WRITERS = 500;

const configuration: Bench = async (context) => {
  const measurements: Measurement[] = [];
  for (const servers of [10, 10_000]) {
    context.log(`${servers} servers: Get and List`);
    measurements.push(...(await answers(context, servers)));
  }
  context.log("a desired state of 10,000 servers");
  measurements.push(desiredState());
  context.log(`${WRITERS} writers`);
  measurements.push(...(await writers()));
  return measurements;
};

export default configuration;

function text(statsSocket: string, backends: readonly (readonly string[])[]): string {
  const head = `global\n    stats socket ${statsSocket} mode 600 level admin expose-fd listeners\n\ndefaults\n    mode http\n    timeout connect 1s\n    timeout client 5s\n    timeout server 5s\n`;
  return `${head}${backends.map((lines, index) => `\nbackend b${index}\n${lines.join("")}`).join("")}`;
}

function serverLine(index: number, weight = 1 + (index % 50)): string {
  return `    server s${index} 10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}:8080 id ${index + 1} weight ${weight}\n`;
}

function serverLines(count: number): string[] {
  return Array.from({ length: count }, (_, index) => serverLine(index));
}

/** Calls per second of haplane and of a bare handler, for one server and for a page of 100 (or all, where there are fewer). */
async function answers(context: BenchContext, servers: number): Promise<Measurement[]> {
  await using stack = new AsyncDisposableStack();
  // HAProxy's own cost is quadratic in the servers of a backend.
  const perBackend = Math.min(servers, 100);
  const backends = Array.from({ length: servers / perBackend }, () => serverLines(perBackend));
  const haplane = await startHaplane((socket) => text(socket, backends));
  stack.defer(() => haplane.stop());
  const token = readFileSync(join(haplane.dir, "state", "admin.token"), "utf8").trim();
  const ours = clientOf(join(haplane.dir, "state", "grpc.sock"), token);
  stack.defer(() => ours.close());
  const cases = [
    {
      name: "Get one server",
      method: Configuration.method.get,
      request: toBinary(
        GetRequestSchema,
        create(GetRequestSchema, { name: `backends/b0/servers/s${perBackend - 1}` }),
      ),
    },
    {
      name: `List ${perBackend} servers`,
      method: Configuration.method.list,
      request: toBinary(ListRequestSchema, create(ListRequestSchema, { parent: "backends/b0/servers" })),
    },
  ];
  const ready: Record<string, string> = {};
  for (const { method, request } of cases)
    ready[pathOf(method)] = (await ours.call(pathOf(method), request)).toString("base64");
  const bare = await startBare(context, stack, ready);
  const measurements: Measurement[] = [];
  for (const { name, method, request } of cases) {
    const rates = { ours: [] as number[], bare: [] as number[] };
    for (let round = 0; round < ROUNDS + WARM_UP; round++) {
      for (const [which, client] of [
        ["ours", ours],
        ["bare", bare],
      ] as const) {
        const rate = await rateOf(() => client.call(pathOf(method), request));
        if (round >= WARM_UP) rates[which].push(rate);
      }
    }
    measurements.push({
      ...{ case: `${name}, file of ${servers}`, unit: "calls/s", better: "more", target: 0.5 },
      ...{ value: median(rates.ours), bound: median(rates.bare) },
    });
  }
  return measurements;
}

async function rateOf(call: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  let left = CALLS;
  const worker = async () => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return (CALLS * 1_000) / (performance.now() - start);
}

interface RawClient {
  call(path: string, request: Uint8Array): Promise<Buffer>;
  close(): void;
}

function clientOf(socket: string, token: string): RawClient {
  const client = new grpc.Client(`unix:${socket}`, grpc.credentials.createInsecure());
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  const asIs = (bytes: Buffer) => bytes;
  return {
    call: (path, request) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(path, asIs, asIs, Buffer.from(request), metadata, (error, answer) =>
          error === null ? resolve(answer!) : reject(error),
        );
      }),
    close: () => client.close(),
  };
}

async function startBare(
  context: BenchContext,
  stack: AsyncDisposableStack,
  ready: Record<string, string>,
): Promise<RawClient> {
  const name = `bare-${process.hrtime.bigint()}`;
  const [socket, file] = [join(context.directory, `${name}.sock`), join(context.directory, `${name}.json`)];
  writeFileSync(file, JSON.stringify(ready));
  const script = fileURLToPath(new URL("./configuration/bare.ts", import.meta.url));
  const child = spawn(process.execPath, [script, socket, file], { stdio: ["ignore", "pipe", "inherit"] });
  stack.defer(() => endChild(child, "SIGTERM", 3_000));
  await once(child.stdout, "data");
  const client = clientOf(socket, "");
  stack.defer(() => client.close());
  return client;
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** What it takes to find and make the 100 differences of 10,000 servers, beside reading the text into messages. Both are done on text that was never read before. */
function desiredState(): Measurement {
  const lines = serverLines(10_000);
  const bytes = Buffer.from(`backend b0\n${lines.join("")}`);
  const changed = Buffer.from(
    `backend b0\n${lines.map((line, index) => (index % 100 === 0 ? serverLine(index, 99) : line)).join("")}`,
  );
  const read = (content: Buffer): Document => Document.parse([{ path: "haproxy.cfg", bytes: content }]);
  const messageOf = (document: Document) =>
    sectionMessage(configGrammar().section("backend")!, document.find("backend", "b0")[0]!, {
      ...{ children: true, secrets: false },
    });
  const named = create(ResourceSchema, { name: "backends/b0" });
  named.kind = { case: "backend", value: messageOf(read(changed)) } as unknown as Resource["kind"];
  // As a request brings it: messages that were decoded are slower to look into than those of the grammar.
  const wanted = fromBinary(ResourceSchema, toBinary(ResourceSchema, named));
  const context = { etags: createEtags(Buffer.alloc(32)), version: undefined, etagsCount: true };
  const times = { parse: [] as number[], apply: [] as number[] };
  for (let round = 0; round < APPLY_ROUNDS + WARM_UP; round++) {
    const parse = timed(() => messageOf(read(bytes)));
    const document = read(bytes);
    const apply = timed(() => {
      const { done } = applyRequest(
        document,
        { changes: [], desired: [wanted], prune: [], guards: [], single: false },
        ...([context, () => false] as const),
      );
      if (done.length !== 100) throw new Error(`${done.length} differences were found`);
    });
    if (round < WARM_UP) continue;
    times.parse.push(parse);
    times.apply.push(apply);
  }
  return {
    ...{ case: "desired state of 10,000 servers, 100 differ", unit: "ms", target: 3 },
    ...{ value: median(times.apply), bound: median(times.parse) },
  };
}

/** Many writers at once, each on a server of its own, none of which tries again. */
async function writers(): Promise<Measurement[]> {
  const backends = Array.from({ length: WRITERS }, () => serverLines(1));
  const haplane: TestHaplane = await startHaplane((socket) => text(socket, backends));
  const { client, close } = configurationClient(haplane, "grpc-js");
  try {
    let conflicts = 0;
    const start = performance.now();
    await Promise.all(
      backends.map(async (_, index) => {
        const resource: MessageInitShape<typeof ResourceSchema> = {
          name: `backends/b${index}/servers/s0`,
          kind: { case: "server", value: { weight: 77 } },
        };
        await client.update({ resource }).catch((error: unknown) => {
          if (!(error instanceof ConnectError) || error.code !== Code.Aborted) throw error;
          conflicts++;
        });
      }),
    );
    const took = performance.now() - start;
    const written = readFileSync(haplane.config, "utf8").split(" weight 77").length - 1;
    return [
      {
        case: `${WRITERS} writers, no retries: conflicts`,
        value: conflicts,
        unit: "writes",
        bound: WRITERS,
        target: 0,
      },
      {
        case: `${WRITERS} writers, no retries: failed or lost`,
        value: WRITERS - conflicts - written,
        unit: "writes",
        bound: WRITERS,
        target: 0,
      },
      { case: `${WRITERS} writers: all answered`, value: took, unit: "ms" },
    ];
  } finally {
    close();
    await haplane.stop();
  }
}

function timed(action: () => unknown): number {
  const start = performance.now();
  action();
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
