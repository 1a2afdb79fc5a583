import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Role } from "../../gen/haplane/v1/options_pb.js";
import { ServiceDiscovery } from "../../gen/haplane/v1/service_discovery_pb.js";
import { Health } from "../../gen/health/v1/health_pb.js";
import { DomainError } from "../lib/errors.ts";
import { ManualClock } from "../lib/manual-clock.ts";
import {
  type Access,
  anyVerifier,
  certificateVerifier,
  createGate,
  hashToken,
  type Proof,
  requiredRole,
  serves,
  tokenVerifier,
  type Verifier,
} from "./auth.ts";
import { countFailedAttempts } from "./failed-attempts.ts";
import type { Peer } from "./handler.ts";
import type { ListenAddress, ListenerPolicy } from "./listener.ts";

const loopback: ListenAddress = { kind: "tcp", host: "127.0.0.1", port: 1 };
const outside: ListenAddress = { kind: "tcp", host: "0.0.0.0", port: 1 };
const socket: ListenAddress = { kind: "unix", path: "/run/haplane.sock" };

const PEER: Peer = { kind: "tcp", address: "192.0.2.1:1", host: "192.0.2.1" };

const verify = tokenVerifier([
  { caller: { name: "ann", role: Role.ADMIN }, sha256: hashToken("ann's") },
  { caller: { name: "vic", role: Role.VIEWER }, sha256: hashToken("vic's") },
]);
const role = (role: Role): Access => ({ kind: "role", role });
const reflection: Access = { kind: "reflection" };
const health: Access = { kind: "health" };
const token: ListenerPolicy = { authentication: "token" };

/** The name of the caller that a gate lets pass, or why it does not. */
async function ask(
  address: ListenAddress,
  policy: ListenerPolicy,
  access: Access,
  authorization?: string,
): Promise<string> {
  try {
    const caller = await gateOf(address, policy, verify)(access, header(authorization));
    return caller.name;
  } catch (error) {
    assert.ok(error instanceof DomainError);
    return error.reason;
  }
}

function header(
  authorization: string | undefined,
  certificate: Proof["certificate"] = () => undefined,
): Proof {
  return { peer: PEER, authorization, certificate };
}

/** A gate that takes wrong credentials as often as they come. */
function gateOf(address: ListenAddress, policy: ListenerPolicy, verify: Verifier) {
  const attempts = countFailedAttempts(Number.POSITIVE_INFINITY, new ManualClock());
  return createGate(address, policy, { verify, attempts, refused: () => {} });
}

const cases: {
  says: string;
  address: ListenAddress;
  policy: ListenerPolicy;
  access: Access;
  authorization?: string;
}[] = [
  { says: "UNAUTHENTICATED", address: loopback, policy: token, access: role(Role.VIEWER) },
  { says: "UNAUTHENTICATED", address: socket, policy: token, access: role(Role.VIEWER) },
  { says: "socket", address: socket, policy: { authentication: "peer" }, access: role(Role.ADMIN) },
  {
    says: "UNAUTHENTICATED",
    address: socket,
    policy: { authentication: "peer" },
    access: role(Role.ADMIN),
    authorization: "Bearer wrong",
  },
  {
    says: "vic",
    address: socket,
    policy: { authentication: "peer" },
    access: role(Role.VIEWER),
    authorization: "Bearer vic's",
  },
  {
    says: "PERMISSION_DENIED",
    address: socket,
    policy: { authentication: "peer" },
    access: role(Role.ADMIN),
    authorization: "Bearer vic's",
  },
  { says: "ann", address: outside, policy: token, access: role(Role.ADMIN), authorization: "Bearer ann's" },
  {
    says: "ann",
    address: outside,
    policy: token,
    access: role(Role.VIEWER),
    authorization: "bearer   ann's",
  },
  { says: "vic", address: loopback, policy: token, access: role(Role.VIEWER), authorization: "Bearer vic's" },
  {
    says: "PERMISSION_DENIED",
    address: loopback,
    policy: token,
    access: role(Role.OPERATOR),
    authorization: "Bearer vic's",
  },
  { says: "UNAUTHENTICATED", address: loopback, policy: token, access: role(Role.VIEWER), authorization: "" },
  {
    says: "UNAUTHENTICATED",
    address: loopback,
    policy: token,
    access: role(Role.VIEWER),
    authorization: "ann's",
  },
  {
    says: "UNAUTHENTICATED",
    address: loopback,
    policy: token,
    access: role(Role.VIEWER),
    authorization: "Bearer ",
  },
  {
    says: "UNAUTHENTICATED",
    address: loopback,
    policy: token,
    access: role(Role.VIEWER),
    authorization: "Basic YW5uOmFubidz",
  },
  {
    says: "UNAUTHENTICATED",
    address: loopback,
    policy: token,
    access: role(Role.VIEWER),
    authorization: "Bearer ann's, Bearer ann's",
  },
  {
    says: "UNAUTHENTICATED",
    address: loopback,
    policy: token,
    access: role(Role.VIEWER),
    authorization: `Bearer ${"a".repeat(5_000)}`,
  },
  { says: "anonymous", address: loopback, policy: token, access: reflection },
  { says: "anonymous", address: socket, policy: token, access: reflection },
  { says: "UNAUTHENTICATED", address: outside, policy: token, access: reflection },
  { says: "vic", address: outside, policy: token, access: reflection, authorization: "Bearer vic's" },
  { says: "anonymous", address: outside, policy: { ...token, reflection: "on" }, access: reflection },
  {
    says: "UNAUTHENTICATED",
    address: loopback,
    policy: { ...token, reflection: "with-credentials" },
    access: reflection,
  },
  { says: "anonymous", address: outside, policy: token, access: health },
  { says: "anonymous", address: socket, policy: token, access: health, authorization: "Bearer wrong" },
];
for (const { says, address, policy, access, authorization } of cases) {
  const needs = access.kind === "role" ? `a method for ${Role[access.role]}` : access.kind;
  const where = address.kind === "unix" ? "a socket" : address.host;
  test(`${needs} on ${where} with ${JSON.stringify(policy)} and ${authorization?.slice(0, 30) ?? "nothing"}: ${says}`, async () => {
    assert.equal(await ask(address, policy, access, authorization), says);
  });
}

test("a verifier may take its time", async () => {
  const gate = gateOf(loopback, token, async () => ({ name: "slow", role: Role.ADMIN }));
  assert.equal((await gate(role(Role.ADMIN), header("Bearer x"))).name, "slow");
  const refusing = gateOf(loopback, token, async () => undefined);
  await assert.rejects(async () => refusing(role(Role.ADMIN), header("Bearer x")), {
    reason: "UNAUTHENTICATED",
  });
});

test("a verified client certificate is enough, but a wrong header beside it is refused", async () => {
  const gate = gateOf(outside, token, anyVerifier([verify, certificateVerifier(() => Role.EDITOR)]));
  const certificate = () => ({ commonName: "", names: ["DNS:mesh.example"] });
  const caller = await gate(role(Role.EDITOR), header(undefined, certificate));
  assert.deepEqual(caller, { name: "DNS:mesh.example", role: Role.EDITOR });
  assert.equal((await gate(role(Role.VIEWER), header("Bearer vic's", certificate))).name, "vic");
  for (const [access, authorization] of [
    [role(Role.VIEWER), "Bearer wrong"],
    [role(Role.VIEWER), "Basic YTpi"],
  ] as const)
    await assert.rejects(async () => gate(access, header(authorization, certificate)), {
      reason: "UNAUTHENTICATED",
    });
  await assert.rejects(async () => gate(role(Role.ADMIN), header(undefined, certificate)), {
    reason: "PERMISSION_DENIED",
  });
});

test("a permission that is missing is named", async () => {
  const gate = gateOf(loopback, token, verify);
  assert.throws(() => gate(role(Role.EDITOR), header("Bearer vic's")), {
    metadata: { caller: "vic", role: "viewer", needs: "editor" },
  });
});

test("what is switched off is not served", () => {
  assert.equal(serves({ ...token, reflection: "off" }, reflection), false);
  assert.equal(serves({ ...token, health: "off" }, health), false);
  assert.equal(serves({ ...token, reflection: "off", health: "off" }, role(Role.VIEWER)), true);
});

test("authentication by peer needs a unix socket", () => {
  assert.throws(() => gateOf(loopback, { authentication: "peer" }, verify), /unix socket/);
});

test("the role of a method comes from its option, and a method without one is refused by name", () => {
  assert.deepEqual(requiredRole(ServiceDiscovery.method.listSources), role(Role.VIEWER));
  assert.deepEqual(requiredRole(ServiceDiscovery.method.createSource), role(Role.OPERATOR));
  assert.throws(
    () => requiredRole(Health.method.check),
    /grpc\.health\.v1\.Health\.Check has no \(haplane\.v1\.role\)/,
  );
});

describe("who sends wrong credentials has to wait", () => {
  const clock = new ManualClock();
  const asked: string[] = [];
  const refused: string[] = [];
  const byPassword: Verifier = (credentials) => {
    if (credentials.scheme !== "basic") return undefined;
    asked.push(credentials.password);
    return credentials.password === "right" ? { name: "tom", role: Role.VIEWER } : undefined;
  };
  const gate = createGate(outside, token, {
    verify: anyVerifier([verify, byPassword]),
    attempts: countFailedAttempts(3, clock),
    refused: (scheme) => refused.push(scheme),
  });
  const basic = (password: string) => `Basic ${Buffer.from(`tom:${password}`).toString("base64")}`;
  const ask = async (authorization: string, host: string, kind: Peer["kind"] = "tcp") => {
    try {
      const proof = { ...header(authorization), peer: { kind, host, address: host } };
      return (await gate(role(Role.VIEWER), proof)).name;
    } catch (error) {
      assert.ok(error instanceof DomainError);
      return error.retryAfterMs ?? error.reason;
    }
  };

  test("passwords: longer each time, up to a minute, and forgotten after a quarter of an hour", async () => {
    const host = "192.0.2.1";
    for (const guess of ["a", "b", "c"]) assert.equal(await ask(basic(guess), host), "UNAUTHENTICATED");
    assert.equal(await ask(basic("right"), host), 1_000, "not looked at while waiting");
    assert.equal(asked.length, 3);
    assert.equal(await ask("Bearer ann's", host), "ann", "tokens are counted by themselves");
    assert.equal(await ask(basic("right"), "192.0.2.2"), "tom", "another address");
    clock.advance(1_000);
    assert.equal(await ask(basic("d"), host), "UNAUTHENTICATED");
    assert.equal(await ask(basic("right"), host), 2_000);
    for (let guess = 0; guess < 10; guess += 1) {
      clock.advance(60_000);
      assert.equal(await ask(basic(`more-${guess}`), host), "UNAUTHENTICATED");
    }
    assert.equal(await ask(basic("e"), host), 60_000);
    clock.advance(16 * 60_000);
    assert.equal(await ask(basic("f"), host), "UNAUTHENTICATED");
    assert.equal(await ask(basic("right"), host), "tom");
  });

  test("tokens: a few seconds at most", async () => {
    const host = "192.0.2.10";
    for (const guess of ["a", "b", "c"]) assert.equal(await ask(`Bearer ${guess}`, host), "UNAUTHENTICATED");
    assert.equal(await ask("Bearer ann's", host), 1_000);
    for (let guess = 0; guess < 10; guess += 1) {
      clock.advance(5_000);
      assert.equal(await ask(`Bearer more-${guess}`, host), "UNAUTHENTICATED");
    }
    assert.equal(await ask("Bearer ann's", host), 5_000);
    clock.advance(5_000);
    assert.equal(await ask("Bearer ann's", host), "ann");
  });

  test("who came in from there lately does not wait for those who guess", async () => {
    const host = "192.0.2.20";
    for (const scheme of ["bearer", "basic"] as const) {
      const [good, name, wrong] =
        scheme === "bearer"
          ? (["Bearer ann's", "ann", (n: number) => `Bearer ${n}`] as const)
          : ([basic("right"), "tom", (n: number) => basic(String(n))] as const);
      assert.equal(await ask(good, host), name);
      for (let guess = 0; guess < 5; guess += 1) await ask(wrong(guess), host);
      assert.ok(Number(await ask(wrong(99), host)) > 0);
      assert.equal(await ask(good, host), name);
      assert.ok(Number(await ask(wrong(99), host)) > 0, "what was right excuses nothing");
    }
    assert.ok(Number(await ask("Bearer vic's", host)) > 0, "another token does");
  });

  test("a client with an old token or password makes itself wait, and nobody else", async () => {
    const host = "192.0.2.30";
    for (const old of ["Bearer old", basic("old")]) {
      const before = asked.length;
      for (let attempt = 1; attempt <= 3; attempt += 1) assert.equal(await ask(old, host), "UNAUTHENTICATED");
      for (let attempt = 1; attempt <= 20; attempt += 1) assert.equal(await ask(old, host), 1_000);
      assert.ok(asked.length <= before + 3, "it is not even looked at");
    }
    assert.equal(await ask("Bearer vic's", host), "vic");
    assert.equal(await ask(basic("right"), host), "tom");
  });

  test("nobody waits on a socket", async () => {
    for (let attempt = 1; attempt <= 9; attempt += 1)
      assert.equal(await ask(basic("wrong"), "unix", "unix"), "UNAUTHENTICATED");
    assert.deepEqual([...new Set(refused)].sort(), ["basic", "bearer"]);
  });
});
