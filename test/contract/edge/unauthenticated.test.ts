import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectSocket } from "node:net";
import { text } from "node:stream/consumers";
import { after, beforeEach, describe, test } from "node:test";
import { status as Code } from "@grpc/grpc-js";
import type { ListenAddress } from "../../../src/rpc/listener.ts";
import { defaultHandlers } from "./echo.ts";
import { type Places, startEdge, tokens } from "./harness.ts";

/** How a message is written in a protocol, and one that nobody can read. */
interface Protocol {
  readonly name: string;
  readonly contentType: string;
  readonly method: "Say" | "Upload";
  readonly message: Buffer;
  readonly malformed: Buffer;
  /** Only gRPC is spoken on the listeners of gRPC. */
  readonly onGrpcListeners: boolean;
}

const enveloped = (bytes: Buffer) => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
};
const binary = { message: Buffer.from([0x0a, 1, 0x78]), malformed: Buffer.from([0xff, 0xff, 0xff]) };
const json = { message: Buffer.from('"x"'), malformed: Buffer.from("{{{") };
const inEnvelopes = ({ message, malformed }: typeof binary) => ({
  message: enveloped(message),
  malformed: enveloped(malformed),
});

const protocols: readonly Protocol[] = (
  [
    ["gRPC", ["Say", "Upload"], "application/grpc", inEnvelopes(binary), true],
    ["gRPC with proto by name", ["Say", "Upload"], "application/grpc+proto", inEnvelopes(binary), true],
    ["gRPC-Web", ["Say"], "application/grpc-web", inEnvelopes(binary), false],
    [
      "gRPC-Web with proto by name",
      ["Say", "Upload"],
      "application/grpc-web+proto",
      inEnvelopes(binary),
      false,
    ],
    ["gRPC-Web with JSON", ["Say"], "application/grpc-web+json", inEnvelopes(json), false],
    ["Connect with proto", ["Say"], "application/proto", binary, false],
    ["Connect with JSON", ["Say"], "application/json", json, false],
    ["Connect streams with proto", ["Upload"], "application/connect+proto", inEnvelopes(binary), false],
    ["Connect streams with JSON", ["Upload"], "application/connect+json", inEnvelopes(json), false],
  ] as const
).flatMap(([name, methods, contentType, bytes, onGrpcListeners]) =>
  methods.map((method) => ({ name, contentType, method, ...bytes, onGrpcListeners })),
);

const listeners: readonly { readonly place: keyof Places; readonly http: "1.1" | "2" }[] = [
  { place: "grpc", http: "2" },
  { place: "grpcSocket", http: "2" },
  { place: "connect", http: "2" },
  { place: "connectSocket", http: "2" },
  { place: "connect", http: "1.1" },
  { place: "connectSocket", http: "1.1" },
];

const edge = await startEdge();
after(() => edge.close());
let called = 0;
beforeEach(() => {
  called = 0;
  const { say, upload } = defaultHandlers();
  edge.handlers.say = (...given) => {
    called += 1;
    return say(...given);
  };
  edge.handlers.upload = (...given) => {
    called += 1;
    return upload(...given);
  };
});

describe("bytes without credentials never reach a handler", () => {
  for (const { place, http } of listeners)
    for (const protocol of protocols) {
      if (http === "1.1" && protocol.onGrpcListeners) continue;
      test(`${protocol.name}, ${protocol.method}, HTTP/${http}, ${place}`, async () => {
        const ask = (token: string | undefined, body: Buffer, ending: "ended" | "open") =>
          call(edge.places[place], http, { ...protocol, token, body, ending });
        const isServed = protocol.onGrpcListeners || place.startsWith("connect");
        // The answer comes while the request is still being sent: nothing waits for its bytes.
        for (const token of [undefined, "wrong"])
          for (const [body, ending] of [
            [protocol.message, "ended"],
            [protocol.malformed, "ended"],
            [protocol.malformed, "open"],
            [Buffer.alloc(0), "open"],
          ] as const) {
            const answer = await ask(token, body, ending);
            if (isServed) assert.equal(answer, Code.UNAUTHENTICATED);
            else assert.notEqual(answer, Code.OK);
            assert.equal(called, 0);
          }
        if (!isServed) return;
        // With a token the same bytes are read, so that the above says something.
        const unreadable = await ask(tokens.admin, protocol.malformed, "ended");
        assert.ok([Code.INVALID_ARGUMENT, Code.INTERNAL].includes(unreadable ?? -1), String(unreadable));
        called = 0;
        assert.equal(await ask(tokens.admin, protocol.message, "ended"), Code.OK);
        assert.equal(called, 1);
      });
    }
});

interface Asked {
  readonly contentType: string;
  readonly method: string;
  readonly token: string | undefined;
  readonly body: Buffer;
  readonly ending: "ended" | "open";
}

/** The status of a call, by its number in gRPC; undefined for an answer in which there is none. */
async function call(address: ListenAddress, http: "1.1" | "2", asked: Asked): Promise<number | undefined> {
  const headers = {
    "content-type": asked.contentType,
    ...(asked.token !== undefined && { authorization: `Bearer ${asked.token}` }),
    ...(asked.contentType.startsWith("application/grpc") && { te: "trailers" }),
  };
  const path = `/haplane.test.v1.Echo/${asked.method}`;
  const answer = await (http === "2" ? callHttp2 : callHttp1)(address, path, headers, asked);
  const isConnect = !asked.contentType.startsWith("application/grpc");
  if (isConnect && answer.status === 200 && !answer.body.includes('"error"')) return Code.OK;
  const [, name] = /"code":\s*"(\w+)"/.exec(answer.body) ?? [];
  if (name !== undefined) return Code[name.toUpperCase() as keyof typeof Code];
  const [, number] = /grpc-status: ?(\d+)/i.exec(`${answer.fields}\n${answer.body}`) ?? [];
  return number === undefined ? undefined : Number(number);
}

interface Answered {
  readonly status: number;
  /** Headers and trailers, one a line. */
  readonly fields: string;
  readonly body: string;
}

const lines = (fields: object) =>
  Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");

async function callHttp2(
  address: ListenAddress,
  path: string,
  headers: Readonly<Record<string, string>>,
  { body, ending }: Asked,
): Promise<Answered> {
  const session = connectHttp2("http://localhost", { createConnection: () => open(address) });
  try {
    const stream = session.request({ ":method": "POST", ":path": path, ...headers }, { endStream: false });
    let fields = "";
    let status = 0;
    stream.on("response", (found) => {
      status = found[":status"] ?? 0;
      fields += `${lines(found)}\n`;
    });
    stream.on("trailers", (found) => {
      fields += lines(found);
    });
    if (ending === "ended") stream.end(body);
    else stream.write(body);
    return { body: await text(stream), status, fields };
  } finally {
    session.destroy();
  }
}

function callHttp1(
  address: ListenAddress,
  path: string,
  headers: Readonly<Record<string, string>>,
  { body, ending }: Asked,
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ createConnection: () => open(address), method: "POST", path, headers });
    // The rest of a request whose answer is here is of no interest, on either side.
    let isAnswered = false;
    sent.on("error", (error) => isAnswered || reject(error));
    sent.on("response", (response) => {
      isAnswered = true;
      text(response)
        .then((found) => {
          const fields = `${lines(response.headers)}\n${lines(response.trailers)}`;
          resolve({ body: found, status: response.statusCode ?? 0, fields });
        }, reject)
        .finally(() => sent.destroy());
    });
    if (ending === "ended") sent.end(body);
    else {
      sent.flushHeaders();
      sent.write(body);
    }
  });
}

function open(address: ListenAddress) {
  return address.kind === "unix" ? connectSocket(address.path) : connectSocket(address.port, address.host);
}
