import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { createSecureContext } from "node:tls";
import {
  AddressChoice,
  type ConsulFilter,
  type ConsulRegistry,
  type ConsulTls,
  HealthPolicy,
} from "../../../gen/haplane/v1/service_discovery_pb.js";
import { patternViolation } from "./name-pattern.ts";

type Note = (field: string, description: string | undefined) => void;

const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$/;
/** What an HTTP header can carry. */
const TOKEN = /^[\x21-\x7e]{0,4096}$/;
/** Names of datacenters, namespaces and partitions. */
const REALM = /^[A-Za-z0-9_-]{0,64}$/;
const HOST_RULE = "must be a host name or an IP address, without brackets or port";
const MAX_WATCHES = 10_000;
const MAX_ADDRESSES = 8;
const MAX_PEM = 65_536;
const MAX_NAMES = 10_000;
const MAX_CONDITIONS = 100;
const MAX_TEXT = 512;
const MAX_CHECKS = 1_000;

/** Notes everything that is wrong with the settings of a Consul. */
export function consulViolations(consul: ConsulRegistry, note: Note): void {
  const { address, port = 0, token } = consul;
  note("consul.address", isHost(address) ? undefined : HOST_RULE);
  for (const [index, other] of consul.moreAddresses.entries())
    note(`consul.more_addresses[${index}]`, isHost(other) ? undefined : HOST_RULE);
  if (consul.moreAddresses.length > MAX_ADDRESSES)
    note("consul.more_addresses", `must have at most ${MAX_ADDRESSES} elements`);
  const { maxWatches = 1 } = consul;
  note(
    "consul.max_watches",
    maxWatches >= 1 && maxWatches <= MAX_WATCHES ? undefined : "must be 1 to 10,000",
  );
  note("consul.port", port >= 1 && port <= 65_535 ? undefined : "must be 1 to 65535");
  note(
    "consul.token",
    TOKEN.test(token) ? undefined : "must be printable ASCII without spaces, at most 4096 characters",
  );
  for (const field of ["datacenter", "namespace", "partition"] as const) {
    note(
      `consul.${field}`,
      REALM.test(consul[field]) ? undefined : "must be at most 64 of letters, digits, - and _",
    );
  }
  if (consul.tls !== undefined) tlsViolations(consul.tls, note);
  if (consul.filter !== undefined) filterViolations(consul.filter, note);
  healthViolations(consul, note);
  addressViolations(consul, note);
  note("consul.weight_metadata", tooLong(consul.weightMetadata));
}

function tlsViolations(tls: ConsulTls, note: Note): void {
  const { caCertificates, clientCertificate, clientKey, serverName } = tls;
  note("consul.tls.ca_certificates", pemViolation(caCertificates));
  note("consul.tls.client_certificate", pemViolation(clientCertificate));
  note("consul.tls.client_key", keyViolation(clientKey, clientCertificate));
  if (clientCertificate !== "" && clientKey === "") note("consul.tls.client_key", "is required");
  note("consul.tls.server_name", serverName === "" || isHost(serverName) ? undefined : "must be a host name");
}

function pemViolation(pem: string): string | undefined {
  if (pem === "") return undefined;
  if (pem.length > MAX_PEM) return "must have at most 64 KB";
  try {
    new X509Certificate(pem);
    createSecureContext({ ca: pem, cert: pem });
    return undefined;
  } catch {
    return "must be certificates in PEM";
  }
}

function keyViolation(key: string, certificate: string): string | undefined {
  if (key === "") return undefined;
  if (key.length > MAX_PEM) return "must have at most 64 KB";
  if (certificate === "") return "needs client_certificate";
  try {
    const leaf = new X509Certificate(certificate);
    return leaf.checkPrivateKey(createPrivateKey(key)) ? undefined : "is not that of client_certificate";
  } catch {
    return "must be a private key in PEM that is not encrypted";
  }
}

function filterViolations(filter: ConsulFilter, note: Note): void {
  note("consul.filter.allow", listViolation(filter.allow, MAX_NAMES));
  note("consul.filter.deny", listViolation(filter.deny, MAX_NAMES));
  note("consul.filter.name_pattern", patternViolation(filter.namePattern));
  note("consul.filter.tags", listViolation(filter.tags, MAX_CONDITIONS));
  const metadata = Object.entries(filter.metadata);
  note(
    "consul.filter.metadata",
    listViolation(
      metadata.map(([key]) => key),
      MAX_CONDITIONS,
    ),
  );
  note("consul.filter.metadata", metadata.map(([, value]) => tooLong(value)).find(Boolean));
}

function listViolation(texts: readonly string[], most: number): string | undefined {
  if (texts.length > most) return `must have at most ${most} elements`;
  if (texts.includes("")) return "must not have an empty element";
  return texts.map(tooLong).find(Boolean);
}

function healthViolations({ health, minPassing }: ConsulRegistry, note: Note): void {
  note("consul.health", HealthPolicy[health] === undefined ? "is not a known policy" : undefined);
  const isMinimum = health === HealthPolicy.MINIMUM;
  if (isMinimum && (minPassing < 1 || minPassing > MAX_CHECKS))
    note("consul.min_passing", `must be 1 to ${MAX_CHECKS}`);
  if (!isMinimum && minPassing !== 0) note("consul.min_passing", "needs HEALTH_POLICY_MINIMUM");
}

function addressViolations({ addressChoice, taggedAddress }: ConsulRegistry, note: Note): void {
  note(
    "consul.address_choice",
    AddressChoice[addressChoice] === undefined ? "is not a known choice" : undefined,
  );
  const isTagged = addressChoice === AddressChoice.TAGGED;
  if (isTagged && taggedAddress === "") note("consul.tagged_address", "is required");
  if (!isTagged && taggedAddress !== "") note("consul.tagged_address", "needs ADDRESS_CHOICE_TAGGED");
  note("consul.tagged_address", tooLong(taggedAddress));
}

function isHost(address: string): boolean {
  return isIP(address) === 0 ? HOST_NAME.test(address) : !address.includes("%");
}

function tooLong(text: string): string | undefined {
  return text.length > MAX_TEXT ? `must have at most ${MAX_TEXT} characters` : undefined;
}
