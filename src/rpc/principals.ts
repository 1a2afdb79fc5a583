import type { Role } from "../../gen/haplane/v1/options_pb.js";
import type { Clock } from "../lib/clock.ts";
import { anyVerifier, certificateVerifier, type TokenRecord, tokenVerifier, type Verifier } from "./auth.ts";
import { basicVerifier, type UserRecord } from "./basic.ts";
import type { PasswordCheck } from "./password-check.ts";
import type { ClientCertificate } from "./tls.ts";

/** Characters that a token has at least, whoever made it up: 128 bits, when it is written in hexadecimal. Shorter ones are not taken, so a hash of one in the file of tokens lets nobody in. */
export const MIN_TOKEN_LENGTH = 32;

/** Everybody who may come in, and as what. It is replaced as a whole. */
export interface Principals {
  readonly tokens: readonly TokenRecord[];
  /** Users by name, whom the configuration does not know. */
  readonly users: ReadonlyMap<string, UserRecord>;
  /** The role of a user of the userlist; undefined: does not come in. */
  readonly roleOfUser: (name: string) => Role | undefined;
  /** The role of whoever shows a certificate; undefined: does not come in. */
  readonly roleOfCertificate: (certificate: ClientCertificate) => Role | undefined;
}

/** The users of the configuration, at this moment. */
export interface ListedUsers {
  find(name: string): UserRecord["password"] | undefined;
  passwords(): Iterable<UserRecord["password"]>;
}

/** Roles that are given to names: the first that fits counts. */
export interface Binding {
  readonly role: Role;
  readonly users: readonly string[];
  /** `CN=NAME`, or alternative names such as `DNS:NAME`. */
  readonly certificates: readonly string[];
}

/** Verifies tokens, certificates and passwords of whoever there is at the moment of the call. */
export function principalsVerifier(options: {
  readonly principals: () => Principals;
  readonly listed: ListedUsers;
  readonly check: PasswordCheck;
  readonly clock: Clock;
}): Verifier {
  const { principals, listed, check, clock } = options;
  const user = (name: string): UserRecord | undefined => {
    const { users, roleOfUser } = principals();
    const own = users.get(name);
    if (own !== undefined) return own;
    const role = roleOfUser(name);
    const password = role === undefined ? undefined : listed.find(name);
    return role === undefined || password === undefined ? undefined : { caller: { name, role }, password };
  };
  function* passwords() {
    for (const { password } of principals().users.values()) yield password;
    yield* listed.passwords();
  }
  const byToken: Verifier = (credentials) =>
    credentials.scheme === "bearer" && credentials.token.length >= MIN_TOKEN_LENGTH
      ? tokenVerifier(principals().tokens)(credentials)
      : undefined;
  return anyVerifier([
    byToken,
    certificateVerifier((certificate) => principals().roleOfCertificate(certificate)),
    basicVerifier({ user, passwords, check, clock }),
  ]);
}

/** The role that bindings give to a user, else the one for all others. */
export function bindUsers(bindings: readonly Binding[], others: Role | undefined): Principals["roleOfUser"] {
  return (name) => bindings.find(({ users }) => users.includes(name))?.role ?? others;
}

/** The role that bindings give to a certificate by its subject or one of its alternative names, else the one for all others. */
export function bindCertificates(
  bindings: readonly Binding[],
  others: Role | undefined,
): Principals["roleOfCertificate"] {
  return ({ commonName, names }) => {
    const own = new Set([`CN=${commonName}`, ...names]);
    return bindings.find(({ certificates }) => certificates.some((name) => own.has(name)))?.role ?? others;
  };
}
