import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { type ClientHttp2Session, connect } from "node:http2";
import { connect as connectSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type DescMethod, type DescService, getOption } from "@bufbuild/protobuf";
import { status as Code } from "@grpc/grpc-js";
import { pino } from "pino";
import { Registry } from "prom-client";
import { Configuration } from "../../../gen/haplane/v1/configuration_pb.js";
import { Events } from "../../../gen/haplane/v1/events_pb.js";
import { Role, role as roleOption } from "../../../gen/haplane/v1/options_pb.js";
import { Runtime } from "../../../gen/haplane/v1/runtime_pb.js";
import { ServiceDiscovery } from "../../../gen/haplane/v1/service_discovery_pb.js";
import { Spoe } from "../../../gen/haplane/v1/spoe_pb.js";
import { Storage } from "../../../gen/haplane/v1/storage_pb.js";
import { systemClock } from "../../../src/lib/clock.ts";
import { hashToken } from "../../../src/rpc/auth.ts";
import { createConnectListener } from "../../../src/rpc/connect.ts";
import { createEdge } from "../../../src/rpc/edge.ts";
import { createGrpcListener } from "../../../src/rpc/grpc.ts";
import type { AnyHandler, Service } from "../../../src/rpc/handler.ts";
import { createHealth } from "../../../src/rpc/health.ts";
import type { ListenAddress, Listener } from "../../../src/rpc/listener.ts";
import { createPasswordCheck } from "../../../src/rpc/password-check.ts";
import { bindCertificates, principalsVerifier } from "../../../src/rpc/principals.ts";
import { createAuthority, type Issued } from "../../support/certificates.ts";

/** Everything that haplane serves with a role. */
const SERVICES: readonly DescService[] = [Configuration, ServiceDiscovery, Storage, Spoe, Runtime, Events];
const REFLECTION = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"].map(
  (name) => `${name}/ServerReflectionInfo`,
);
const HEALTH = ["Check", "List", "Watch"].map((name) => `grpc.health.v1.Health/${name}`);

const ROLES = [Role.VIEWER, Role.OPERATOR, Role.EDITOR, Role.ADMIN];
const ways = ["token", "password", "certificate"] as const;
type Way = (typeof ways)[number];

const KINDS = ["socket", "loopback", "TLS", "mTLS"] as const;
type Kind = (typeof KINDS)[number];
const STACKS = ["grpc", "connect"] as const;

/** What proves who somebody is. */
interface Proof {
  readonly headers: Record<string, string>;
  readonly certificate?: Issued;
}

const authority = createAuthority();
const server = authority.issue(["localhost"]);
const certificates = new Map(ROLES.map((role) => [role, authority.issue([`role-${role}.example`])]));
const stranger = authority.issue(["stranger.example"]);

function tokenOf(role: Role): string {
  return `token-${role}`.padEnd(32, "x");
}

/** The proof that somebody has this role; undefined where a listener has no such way. */
function proofOf(way: Way, role: Role, kind: Kind): Proof | undefined {
  if (way === "token") return { headers: { authorization: `Bearer ${tokenOf(role)}` } };
  if (way === "password") {
    const credentials = Buffer.from(`user-${role}:password-${role}`).toString("base64");
    return { headers: { authorization: `Basic ${credentials}` } };
  }
  const certificate = certificates.get(role);
  return kind === "mTLS" && certificate !== undefined ? { headers: {}, certificate } : undefined;
}

/** Who was called, by the method's name; emptied by each test. */
const called: string[] = [];
const handlers = (service: DescService): Service => ({
  desc: service,
  names: new Map(),
  handlers: Object.fromEntries(
    service.methods.map((method): [string, AnyHandler] => {
      const name = `${service.typeName}/${method.name}`;
      const streams = method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
      if (!streams)
        return [
          method.localName,
          async () => {
            called.push(name);
            return {};
          },
        ];
      return [
        method.localName,
        async function* () {
          called.push(name);
          yield {};
        },
      ];
    }),
  ),
});

const dir = mkdtempSync(join(tmpdir(), "haplane-roles-"));
const passwords = createPasswordCheck();
const listeners = new Map<string, Listener>();

before(async () => {
  const edge = createEdge({
    services: SERVICES.map(handlers),
    health: createHealth(),
    verify: principalsVerifier({
      principals: () => ({
        tokens: ROLES.map((role) => ({
          caller: { name: `t${role}`, role },
          sha256: hashToken(tokenOf(role)),
        })),
        users: new Map(
          ROLES.map((role) => [
            `user-${role}`,
            {
              caller: { name: `user-${role}`, role },
              password: { kind: "clear" as const, text: `password-${role}` },
            },
          ]),
        ),
        roleOfUser: () => undefined,
        roleOfCertificate: bindCertificates(
          ROLES.map((role) => ({ role, users: [], certificates: [`DNS:role-${role}.example`] })),
          undefined,
        ),
      }),
      listed: { find: () => undefined, passwords: () => [] },
      check: passwords,
      clock: systemClock,
    }),
    log: pino({ level: "silent" }),
    metrics: new Registry(),
    clock: systemClock,
    audit: () => {},
    limits: { maxFailedLogins: 1_000_000 },
  });
  const material = { certificate: Buffer.from(server.certificate), key: Buffer.from(server.key) };
  const tls = {
    socket: undefined,
    loopback: undefined,
    TLS: { ...material, ca: undefined },
    mTLS: { ...material, ca: Buffer.from(authority.certificate) },
  };
  for (const kind of KINDS)
    for (const stack of STACKS) {
      const address: ListenAddress =
        kind === "socket"
          ? { kind: "unix", path: join(dir, `${stack}.sock`) }
          : { kind: "tcp", host: "127.0.0.1", port: 0 };
      const options = { address, tls: tls[kind], policy: { authentication: "token" } as const };
      const listener =
        stack === "grpc"
          ? createGrpcListener(edge, options)
          : createConnectListener(edge, { ...options, routes: [] });
      listeners.set(`${kind} ${stack}`, await listener);
    }
});

after(async () => {
  await Promise.all([...listeners.values()].map((listener) => listener.close(0)));
  await passwords.close();
  rmSync(dir, { recursive: true });
});

function open(kind: Kind, stack: (typeof STACKS)[number], certificate?: Issued): ClientHttp2Session {
  const address = listeners.get(`${kind} ${stack}`)!.address;
  if (address.kind === "unix")
    return connect("http://localhost", { createConnection: () => connectSocket(address.path) });
  if (kind === "loopback") return connect(`http://127.0.0.1:${address.port}`);
  return connect(`https://localhost:${address.port}`, {
    host: "127.0.0.1",
    ca: authority.certificate,
    ...(certificate !== undefined && { cert: certificate.certificate, key: certificate.key }),
  });
}

/** Calls a method by gRPC with one empty message: the code that comes first, OK for a message. */
function call(session: ClientHttp2Session, path: string, headers: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ...{ ":method": "POST", ":path": `/${path}`, "content-type": "application/grpc", te: "trailers" },
      ...headers,
    });
    const look = (found: object) => {
      const status = (found as Record<string, string>)["grpc-status"];
      if (status !== undefined) resolve(Code[Number(status)] ?? status);
    };
    stream.on("response", look);
    stream.on("trailers", look);
    stream.on("data", () => {
      resolve("OK");
      stream.close();
    });
    stream.on("error", reject);
    stream.on("close", () => resolve("closed"));
    stream.end(Buffer.alloc(5));
  });
}

const methods = SERVICES.flatMap((service) =>
  service.methods.map((method) => ({ name: `${service.typeName}/${method.name}`, method })),
);

function needs(method: DescMethod): Role {
  return getOption(method, roleOption);
}

test("every method of every service names its role, and each role has methods", () => {
  assert.ok(methods.length > 60);
  assert.deepEqual(new Set(methods.map(({ method }) => needs(method))), new Set(ROLES));
});

for (const kind of KINDS)
  for (const stack of STACKS)
    describe(`${kind}, ${stack}: who may call what`, () => {
      test("nobody calls anything but health, and here reflection, without credentials", async () => {
        const session = open(kind, stack);
        called.length = 0;
        for (const headers of [{}, { authorization: "Bearer wrong" }, { authorization: "Basic eDp5" }])
          for (const { name } of methods)
            assert.equal(await call(session, name, headers), "UNAUTHENTICATED", name);
        assert.deepEqual(called, [], "what is refused does not reach a handler");
        for (const name of [...HEALTH, ...REFLECTION])
          assert.notEqual(await call(session, name, {}), "UNAUTHENTICATED", name);
        session.destroy();
      });

      for (const way of ways)
        for (const role of ROLES) {
          const proof = proofOf(way, role, kind);
          if (proof === undefined) continue;
          test(`${Role[role]} by ${way}`, async () => {
            const session = open(kind, stack, proof.certificate);
            called.length = 0;
            for (const { name, method } of methods) {
              const expected = role >= needs(method) ? "OK" : "PERMISSION_DENIED";
              assert.equal(await call(session, name, proof.headers), expected, name);
            }
            const allowed = methods.filter(({ method }) => role >= needs(method)).map(({ name }) => name);
            assert.deepEqual(called, allowed);
            session.destroy();
          });
        }
    });

describe("certificates", () => {
  for (const stack of STACKS)
    test(`${stack}: one that nobody is bound to does not come in, and is no help without mTLS`, async () => {
      const [path] = methods.map(({ name }) => name);
      for (const [kind, certificate] of [
        ["mTLS", stranger],
        ["TLS", certificates.get(Role.ADMIN)!],
      ] as const) {
        const session = open(kind, stack, certificate);
        assert.equal(await call(session, path!, {}), "UNAUTHENTICATED");
        assert.equal(await call(session, path!, { authorization: `Bearer ${tokenOf(Role.ADMIN)}` }), "OK");
        session.destroy();
      }
    });
});
