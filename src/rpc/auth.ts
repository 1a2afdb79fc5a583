import { hash, timingSafeEqual } from "node:crypto";
import { type DescMethod, getOption } from "@bufbuild/protobuf";
import { Role, RoleSchema, role as roleOption } from "../../gen/haplane/v1/options_pb.js";
import { DomainError } from "../lib/errors.ts";
import type { Attempt, FailedAttempts } from "./failed-attempts.ts";
import type { Caller, Peer } from "./handler.ts";
import { isLoopback, type ListenAddress, type ListenerPolicy } from "./listener.ts";
import { roleName } from "./roles.ts";
import type { ClientCertificate } from "./tls.ts";

/** What a client proves with who it is. */
export type Credentials =
  | { readonly scheme: "bearer"; readonly token: string }
  | { readonly scheme: "basic"; readonly user: string; readonly password: string }
  /** Verified in the TLS handshake. */
  | { readonly scheme: "certificate"; readonly certificate: ClientCertificate };

/** What came with a call that may prove who makes it. */
export interface Proof {
  readonly peer: Peer;
  /** The header `authorization`. */
  readonly authorization: string | undefined;
  /** Whom the connection's verified client certificate is for, if there is one. */
  readonly certificate: () => ClientCertificate | undefined;
}

/** Says who the credentials belong to, or `undefined` when they are wrong. Takes the same time for every wrong one. */
export type Verifier = (credentials: Credentials) => Caller | undefined | Promise<Caller | undefined>;

/** What it takes to call a method or to get a route. */
export type Access =
  | { readonly kind: "role"; readonly role: Role }
  | { readonly kind: "reflection" }
  | { readonly kind: "health" };

/** The caller of what is open to everyone. */
export const ANONYMOUS: Caller = { name: "anonymous", role: Role.UNSPECIFIED };

/** Whoever the permissions of a unix socket let in. */
const SOCKET_OWNER: Caller = { name: "socket", role: Role.ADMIN };

/** A bearer token as it is kept: never the token itself. */
export interface TokenRecord {
  readonly caller: Caller;
  /** SHA-256 of the token. */
  readonly sha256: Uint8Array;
}

/** Knows bearer tokens by their hash. Compares with all of them, each in constant time. */
export function tokenVerifier(records: readonly TokenRecord[]): Verifier {
  return (credentials) => {
    if (credentials.scheme !== "bearer") return undefined;
    const hashed = hashToken(credentials.token);
    let found: Caller | undefined;
    for (const record of records) {
      if (timingSafeEqual(hashed, record.sha256)) found = record.caller;
    }
    return found;
  };
}

/**
 * Takes verified client certificates that have a role; the caller is named after the certificate's subject, else after its first alternative name.
 */
export function certificateVerifier(roleOf: (certificate: ClientCertificate) => Role | undefined): Verifier {
  return (credentials) => {
    if (credentials.scheme !== "certificate") return undefined;
    const role = roleOf(credentials.certificate);
    const { commonName, names } = credentials.certificate;
    return role === undefined ? undefined : { name: commonName || (names[0] ?? "certificate"), role };
  };
}

/** Asks verifiers one after another, and waits only for one that takes its time: a token is known at once. */
export function anyVerifier(verifiers: readonly Verifier[]): Verifier {
  const [first, ...others] = verifiers;
  if (first === undefined) return () => undefined;
  const next = anyVerifier(others);
  return (credentials) => {
    const caller = first(credentials);
    if (caller instanceof Promise) return caller.then((found) => found ?? next(credentials));
    return caller ?? next(credentials);
  };
}

/** The hash under which a token is kept. */
export function hashToken(token: string): Uint8Array {
  return hash("sha256", token, "buffer");
}

/** The role that a method names as its option. Throws when it names none: a method that nobody thought about must not be served. */
export function requiredRole(method: DescMethod): Access {
  const role = getOption(method, roleOption);
  if (role === Role.UNSPECIFIED || RoleSchema.value[role] === undefined) {
    throw new Error(`method ${method.parent.typeName}.${method.name} has no (haplane.v1.role)`);
  }
  return { kind: "role", role };
}

/** Decides who may call what on one listener: made once, asked for every call before its body is read. */
export type Gate = (access: Access, proof: Proof) => Caller | Promise<Caller>;

/** What gates of all listeners share. */
export interface GateKeeping {
  readonly verify: Verifier;
  readonly attempts: FailedAttempts;
  /** Told of wrong credentials. */
  readonly refused: (scheme: Credentials["scheme"]) => void;
}

/**
 * The gate of a listener. It throws `UNAUTHENTICATED`, `PERMISSION_DENIED`, or `LIMIT_EXCEEDED` when wrong tokens or passwords came too often from where the call comes from (see `countFailedAttempts`): those are
 * not looked at meanwhile. Certificates are signed, so nobody guesses them; sockets are guarded by their mode: nobody waits with either. What the policy switches off is not served at all (see `serves`).
 */
export function createGate(address: ListenAddress, policy: ListenerPolicy, keeping: GateKeeping): Gate {
  const { verify, attempts, refused } = keeping;
  if (policy.authentication === "peer" && address.kind !== "unix") {
    throw new Error("authentication by peer needs a unix socket");
  }
  const openReflection =
    policy.reflection === "on" || ((policy.reflection ?? "local") === "local" && isLoopback(address));

  /** Lets the caller pass, or refuses what was wrong. */
  const decide = (
    caller: Caller | undefined,
    needs: Role,
    { scheme }: Credentials,
    attempt: Attempt | undefined,
  ): Caller => {
    if (caller !== undefined) {
      if (attempt !== undefined) attempts.passed(attempt);
      return admit(caller, needs);
    }
    refused(scheme);
    if (attempt !== undefined) attempts.failed(attempt);
    throw unauthenticated();
  };

  return (access, { peer, authorization, certificate }) => {
    if (access.kind === "health" || (access.kind === "reflection" && openReflection)) return ANONYMOUS;
    const needs = access.kind === "role" ? access.role : Role.VIEWER;
    if (authorization === undefined && policy.authentication === "peer") return SOCKET_OWNER;
    const credentials = credentialsOf(authorization, certificate);
    if (credentials === undefined) throw unauthenticated();
    const attempt = peer.kind === "tcp" ? attemptOf(credentials, peer.host) : undefined;
    const waiting = attempt && attempts.waiting(attempt);
    if (waiting !== undefined) throw waiting;
    const caller = verify(credentials);
    if (caller instanceof Promise) return caller.then((found) => decide(found, needs, credentials, attempt));
    return decide(caller, needs, credentials, attempt);
  };
}

/** Whether a listener serves such methods at all. */
export function serves(policy: ListenerPolicy, access: Access): boolean {
  return access.kind === "role" || policy[access.kind] !== "off";
}

function admit(caller: Caller, needs: Role): Caller {
  if (caller.role >= needs) return caller;
  const [has, needed] = [roleName(caller.role), roleName(needs)];
  throw new DomainError("PERMISSION_DENIED", `this needs the role ${needed}; ${caller.name} has ${has}`, {
    metadata: { caller: caller.name, role: has, needs: needed },
  });
}

/** One answer for all: whether credentials are missing, malformed or wrong is nobody's business. */
function unauthenticated(): DomainError {
  return new DomainError(
    "UNAUTHENTICATED",
    "send valid credentials: authorization: Bearer TOKEN, or Basic, or a client certificate where the listener takes one",
  );
}

/** What counts as an attempt to guess; undefined for a certificate, which cannot be guessed. */
function attemptOf(credentials: Credentials, host: string): Attempt | undefined {
  switch (credentials.scheme) {
    case "bearer":
      return { host, scheme: "bearer", secret: credentials.token };
    case "basic":
      return { host, scheme: "basic", secret: `${credentials.user}:${credentials.password}` };
    case "certificate":
      return undefined;
  }
}

/** What is said in the header counts before the certificate: who sends a wrong token is refused. */
function credentialsOf(
  header: string | undefined,
  certificateOf: Proof["certificate"],
): Credentials | undefined {
  if (header === undefined) {
    const certificate = certificateOf();
    return certificate === undefined ? undefined : { scheme: "certificate", certificate };
  }
  const [, scheme, value = ""] = /^(bearer|basic) +([\x21-\x7e]{1,4096})$/i.exec(header) ?? [];
  if (scheme === undefined) return undefined;
  if (scheme.toLowerCase() === "bearer") return { scheme: "bearer", token: value };
  const decoded = Buffer.from(value, "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  if (colon < 0) return undefined;
  return { scheme: "basic", user: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}
