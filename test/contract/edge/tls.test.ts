import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { connect as connectTls, type SecureVersion } from "node:tls";
import { create, type DescMethodUnary } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import type { ListenAddress } from "../../../src/rpc/listener.ts";
import { connectTransport } from "../../support/transports.ts";
import { Echo } from "./echo.ts";
import { startEdge, type TestEdge, tokens } from "./harness.ts";

const pem = (name: string) => readFileSync(new URL(`tls/${name}`, import.meta.url));
const ca = pem("ca.pem");
const server = { certificate: pem("server.pem"), key: pem("server.key") };

/** What a client may show in the handshake. */
const SHOWN = {
  nothing: {},
  certificate: { cert: pem("client.pem"), key: pem("client.key") },
  "a stranger's certificate": { cert: pem("stranger.pem"), key: pem("stranger.key") },
} as const;

type Tcp = ListenAddress & { readonly kind: "tcp" };
type Shown = keyof typeof SHOWN;

const STACKS: readonly {
  readonly name: string;
  readonly place: "grpc" | "connect";
  readonly open: (baseUrl: string, nodeOptions: object) => Transport;
}[] = [
  {
    name: "gRPC",
    place: "grpc",
    open: (baseUrl, nodeOptions) => createGrpcTransport({ baseUrl, nodeOptions }),
  },
  {
    name: "gRPC on Connect's port",
    place: "connect",
    open: (baseUrl, nodeOptions) => createGrpcTransport({ baseUrl, nodeOptions }),
  },
  {
    name: "Connect over HTTP/1.1",
    place: "connect",
    open: (baseUrl, nodeOptions) => createConnectTransport({ baseUrl, nodeOptions, httpVersion: "1.1" }),
  },
  {
    name: "Connect over HTTP/2",
    place: "connect",
    open: (baseUrl, nodeOptions) => createConnectTransport({ baseUrl, nodeOptions, httpVersion: "2" }),
  },
  {
    name: "gRPC-Web",
    place: "connect",
    open: (baseUrl, nodeOptions) => createGrpcWebTransport({ baseUrl, nodeOptions, httpVersion: "1.1" }),
  },
];

/** Calls `Change`, for which one has to be an operator: the name of the code that comes, or `ok`. */
async function change(transport: Transport, token: string | undefined): Promise<string> {
  const method = Echo.methods.find(({ name }) => name === "Change") as DescMethodUnary;
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  try {
    await transport.unary(method, undefined, 10_000, headers, create(StringValueSchema, { value: "x" }));
    return "ok";
  } catch (error) {
    return Code[ConnectError.from(error).code];
  }
}

const CASES: readonly {
  readonly clients: "asked for certificates" | "not asked";
  readonly shown: Shown;
  readonly token: string | undefined;
  readonly outcome: RegExp;
}[] = [
  { clients: "not asked", shown: "nothing", token: undefined, outcome: /^Unauthenticated$/ },
  { clients: "not asked", shown: "nothing", token: tokens.operator, outcome: /^ok$/ },
  { clients: "not asked", shown: "certificate", token: undefined, outcome: /^Unauthenticated$/ },
  { clients: "not asked", shown: "nothing", token: tokens.viewer, outcome: /^PermissionDenied$/ },
  { clients: "asked for certificates", shown: "nothing", token: undefined, outcome: /^Unauthenticated$/ },
  { clients: "asked for certificates", shown: "nothing", token: tokens.operator, outcome: /^ok$/ },
  { clients: "asked for certificates", shown: "certificate", token: undefined, outcome: /^ok$/ },
  { clients: "asked for certificates", shown: "certificate", token: "wrong", outcome: /^Unauthenticated$/ },
  {
    clients: "asked for certificates",
    shown: "certificate",
    token: tokens.viewer,
    outcome: /^PermissionDenied$/,
  },
  // The connection is ended in the handshake; how a client calls that is its own affair.
  {
    clients: "asked for certificates",
    shown: "a stranger's certificate",
    token: tokens.admin,
    outcome: /^(Unavailable|Internal|Aborted|Unknown|Canceled)$/,
  },
];

for (const clients of ["not asked", "asked for certificates"] as const) {
  describe(`TLS, clients ${clients}`, () => {
    let edge: TestEdge;
    before(async () => {
      edge = await startEdge({
        limits: { handshakeTimeoutMs: 2_000 },
        tls: { ...server, ca: clients === "not asked" ? undefined : ca },
      });
    });
    after(() => edge.close());

    for (const { name, place, open } of STACKS) {
      for (const { shown, token, outcome } of CASES.filter((one) => one.clients === clients)) {
        test(`${name}: ${shown} and ${token === undefined ? "no token" : `the token ${token}`}`, async () => {
          const { port } = edge.places[place] as Tcp;
          const transport = open(`https://localhost:${port}`, { ca, ...SHOWN[shown] });
          assert.match(await change(transport, token), outcome);
        });
      }
    }

    test("the unix sockets stay as they are", async () => {
      const transport = connectTransport(edge.places.connectSocket, "connect", "1.1");
      assert.equal(await change(transport, undefined), "Unauthenticated");
      assert.equal(await change(transport, tokens.admin), "ok");
    });

    for (const place of ["grpc", "connect"] as const) {
      test(`plain text, silence and old TLS get nothing (${place})`, async () => {
        const { port } = edge.places[place] as Tcp;
        const plain = connect(port, "127.0.0.1");
        plain.end("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n");
        let received = "";
        plain.on("data", (chunk: Buffer) => {
          received += chunk.toString("latin1");
        });
        await once(plain, "close");
        assert.doesNotMatch(received, /HTTP|SERVING/);
        const silent = connect(port, "127.0.0.1");
        silent.on("error", () => {});
        silent.resume();
        await once(silent, "close");
        const maxVersion: SecureVersion = "TLSv1.1";
        const old = connectTls({
          port,
          host: "127.0.0.1",
          ca,
          maxVersion,
          minVersion: "TLSv1",
          ciphers: "ALL:@SECLEVEL=0",
        });
        await assert.rejects(once(old, "secureConnect"));
      });
    }
  });
}
