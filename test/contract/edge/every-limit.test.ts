import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import type { Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { status as Code } from "@grpc/grpc-js";
import { WatchRequestSchema } from "../../../gen/haplane/v1/events_pb.js";
import {
  FileKind,
  PutFileRequestSchema,
  UploadFileRequestSchema,
} from "../../../gen/haplane/v1/storage_pb.js";
import { HealthCheckRequestSchema } from "../../../gen/health/v1/health_pb.js";
import { FLAG_SETTINGS } from "../../../src/settings/schema.ts";
import { startHaplane, type TestHaplane } from "../../support/haplane.ts";
import { preamble } from "../../support/preamble.ts";
import { eventually } from "../../support/wait.ts";
import { data, grpcMessage, headers, openRaw, openSocket } from "./raw-http2.ts";

/** Settings that bound what peers may use, with a value that a test meets soon. */
const LOW = {
  max_failed_logins: 2,
  max_connections: 12,
  max_streams: 10,
  max_calls_per_peer: 25,
  max_watchers: 2,
  max_message_bytes: 64 * 1024,
  max_header_bytes: 2_048,
  max_upload_size: 1,
  upload_idle: 1,
  keepalive_interval: 1,
  keepalive_timeout: 1,
} as const;
type Limit = keyof typeof LOW;

/** What is named like them and bounds no peer. */
const OTHERS: ReadonlySet<string> = new Set(["max_old_workers"]);

const WATCH = "haplane.v1.Events/Watch";
const HEALTH = "grpc.health.v1.Health/Watch";
const VERSION = "haplane.v1.Configuration/GetVersion";
const UPLOAD = "haplane.v1.Storage/UploadFile";

let haplane: TestHaplane;
let admin: string;
before(async () => {
  haplane = await startHaplane(
    (statsSocket) => `${preamble(statsSocket)}backend site\n`,
    Object.entries(LOW).map(([name, value]) => `--${name.replaceAll("_", "-")}=${value}`),
  );
  admin = `Bearer ${readFileSync(join(haplane.dir, "state", "admin.token"), "utf8").trim()}`;
});
after(() => haplane?.stop());

const LISTENERS = ["grpc", "connect"] as const;
type Place = (typeof LISTENERS)[number];

/** Things to be closed when a test is over. */
function peers(place: Place) {
  const sessions: ClientHttp2Session[] = [];
  return {
    session() {
      const session = connectHttp2(`http://127.0.0.1:${haplane.ports[place]}`);
      session.on("error", () => {});
      sessions.push(session);
      return session;
    },
    close: () => {
      for (const session of sessions) session.destroy();
    },
  };
}

/** Opens a call of gRPC's; what becomes of it is in `code`: the name of the code, or `open` once something has come. */
function call(session: ClientHttp2Session, method: string, more: Record<string, string> = {}) {
  const stream = session.request({
    ...{ ":method": "POST", ":path": `/${method}`, "content-type": "application/grpc", te: "trailers" },
    ...{ authorization: admin, ...more },
  });
  const code = new Promise<string>((resolve) => {
    const look = (found: object) => {
      const status = (found as Record<string, string>)["grpc-status"];
      if (status !== undefined) resolve(Code[Number(status)] ?? status);
    };
    stream.on("response", look);
    stream.on("trailers", look);
    stream.on("data", () => resolve("open"));
    stream.on("error", () => {});
    stream.on("close", () => resolve("closed"));
  });
  return { stream, code };
}

function framed<D extends DescMessage>(desc: D, message: MessageInitShape<D>): Buffer {
  return grpcMessage(toBinary(desc, create(desc, message)));
}

async function counted(metric: string, limit: string): Promise<number> {
  const lines = (await haplane.metrics()).split("\n");
  const found = lines.filter((line) => line.startsWith(`${metric}{`) && line.includes(`"${limit}"`));
  return found.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

interface Row {
  /** Goes beyond the limit on a listener, and returns what the peer is told. */
  readonly exceed: (place: Place, open: ReturnType<typeof peers>) => Promise<string>;
  /** Default: RESOURCE_EXHAUSTED. */
  readonly told?: RegExp;
  /** Default: `haplane_rpc_limited_total`. */
  readonly metric?: string;
  /** The label; default: the setting's name. */
  readonly label?: string;
}

const ROWS: Readonly<Record<Limit, Row>> = {
  max_failed_logins: {
    // Each listener by other guesses: they count together.
    async exceed(place, open) {
      const session = open.session();
      let last = "";
      for (let guess = 0; guess <= LOW.max_failed_logins; guess += 1) {
        const wrong = call(session, VERSION, { authorization: `Bearer ${place}-${guess}` });
        wrong.stream.end(framed(WatchRequestSchema, {}));
        last = await wrong.code;
      }
      return last;
    },
  },
  max_connections: {
    told: /^closed$/,
    metric: "haplane_connections_refused_total",
    // Listeners are called by their settings.
    label: "127.0.0.1:0",
    async exceed(place) {
      const address = { kind: "tcp", host: "127.0.0.1", port: haplane.ports[place] } as const;
      const sockets: Socket[] = [];
      for (let n = 0; n <= LOW.max_connections; n += 1) sockets.push(await openSocket(address));
      const closed = new Promise((resolve) => {
        for (const socket of sockets) socket.resume().once("close", resolve);
      });
      await closed;
      for (const socket of sockets) socket.destroy();
      return "closed";
    },
  },
  max_streams: {
    // HTTP/2 tells the limit beforehand, and clients wait; who does not is sent away.
    told: /max concurrent streams exceeded/,
    metric: "haplane_connections_ended_total",
    async exceed(place) {
      const peer = await openRaw({ kind: "tcp", host: "127.0.0.1", port: haplane.ports[place] });
      await eventually(() => assert.ok(peer.received().length > 0));
      for (let n = 0; n <= LOW.max_streams; n += 1) {
        const stream = 2 * n + 1;
        peer.send(
          headers(stream, `/${HEALTH}`, { "content-type": "application/grpc" }),
          data(stream, framed(HealthCheckRequestSchema, {}), true),
        );
      }
      return (await peer.read()).toString("latin1");
    },
  },
  max_calls_per_peer: {
    async exceed(_place, open) {
      const codes: Promise<string>[] = [];
      for (let n = 0; n <= LOW.max_calls_per_peer; ) {
        const session = open.session();
        for (let m = 0; m < LOW.max_streams - 1 && n <= LOW.max_calls_per_peer; m += 1, n += 1) {
          const { stream, code } = call(session, HEALTH);
          stream.end(framed(HealthCheckRequestSchema, {}));
          codes.push(code);
          await code;
        }
      }
      return (await codes.at(-1)) ?? "";
    },
  },
  max_watchers: {
    async exceed(_place, open) {
      const session = open.session();
      let last = "";
      for (let n = 0; n <= LOW.max_watchers; n += 1) {
        const { stream, code } = call(session, WATCH);
        stream.end(framed(WatchRequestSchema, {}));
        last = await code;
      }
      return last;
    },
  },
  max_message_bytes: {
    async exceed(_place, open) {
      const { stream, code } = call(open.session(), "haplane.v1.Storage/PutFile");
      const file = { kind: FileKind.GENERAL, storageName: "x", data: Buffer.alloc(LOW.max_message_bytes) };
      stream.end(framed(PutFileRequestSchema, file));
      return code;
    },
  },
  max_header_bytes: {
    async exceed(_place, open) {
      const { stream, code } = call(open.session(), VERSION, { "x-large": "x".repeat(LOW.max_header_bytes) });
      stream.end(framed(WatchRequestSchema, {}));
      return code;
    },
  },
  max_upload_size: {
    async exceed(_place, open) {
      const { stream, code } = upload(open);
      const piece = framed(UploadFileRequestSchema, { part: { case: "data", value: Buffer.alloc(60_000) } });
      let told: string | undefined;
      void code.then((one) => {
        told = one;
      });
      for (let n = 0; n < 40 && told === undefined; n += 1)
        if (!stream.write(piece))
          await Promise.race([code, new Promise((resolve) => stream.once("drain", resolve))]);
      return code;
    },
  },
  upload_idle: {
    exceed: (_place, open) => upload(open).code,
  },
  keepalive_interval: {
    told: /^closed$/,
    metric: "haplane_connections_ended_total",
    label: "keepalive_timeout",
    exceed: silence,
  },
  keepalive_timeout: {
    told: /^closed$/,
    metric: "haplane_connections_ended_total",
    exceed: silence,
  },
};

/** Begins an upload. */
function upload(open: ReturnType<typeof peers>): { stream: ClientHttp2Stream; code: Promise<string> } {
  const begun = call(open.session(), UPLOAD);
  const header = { kind: FileKind.GENERAL, storageName: "x" };
  begun.stream.write(framed(UploadFileRequestSchema, { part: { case: "header", value: header } }));
  return begun;
}

/** Never answers a ping. */
async function silence(place: Place): Promise<string> {
  const peer = await openRaw({ kind: "tcp", host: "127.0.0.1", port: haplane.ports[place] });
  await peer.read();
  return "closed";
}

test("every setting that bounds peers is tried here", () => {
  const named = FLAG_SETTINGS.map(({ desc: { name } }) => name).filter(
    (name) => /^(max|keepalive|upload)_/.test(name) && !OTHERS.has(name),
  );
  assert.deepEqual(named.sort(), Object.keys(LOW).sort());
});

for (const [name, row] of Object.entries(ROWS) as [Limit, Row][]) {
  const { setting } = FLAG_SETTINGS.find(({ desc }) => desc.name === name)!;
  for (const place of LISTENERS)
    test(`${name}, ${setting.default} by default, on the ${place} listener: told, counted, and over when it is over`, async () => {
      const { exceed, told = /^RESOURCE_EXHAUSTED$/, metric = "haplane_rpc_limited_total", label } = row;
      assert.ok(Number(setting.default) > LOW[name]);
      const counts = () => counted(metric, label ?? name);
      const before = await counts();
      const open = peers(place);
      try {
        assert.match(await exceed(place, open), told);
      } finally {
        open.close();
      }
      await eventually(async () => assert.ok((await counts()) > before, metric));
      await eventually(async () => {
        const again = peers(place);
        const { stream, code } = call(again.session(), VERSION);
        stream.end(framed(WatchRequestSchema, {}));
        assert.equal(await code.finally(() => again.close()), "open");
      });
    });
}
