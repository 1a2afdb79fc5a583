import { isIP } from "node:net";
import { AddressChoice } from "../../../gen/haplane/v1/service_discovery_pb.js";
import type { Instance, LeftOut } from "../registry.ts";
import type { ServiceAnswer } from "../same-answer.ts";
import { type Fields, malformed, object, optionalObject, text } from "./fields.ts";
import {
  type Check,
  type Selection,
  whyInstanceIgnored,
  whyServiceIgnored,
  whyUnhealthy,
} from "./selection.ts";
import { readableName, whyUnnameable } from "./service-name.ts";

/** What the list of services holds. */
export interface ServiceList {
  /** Those that are taken. */
  readonly taken: ReadonlySet<string>;
  /** The others, each with why it is not. */
  readonly ignored: ReadonlyMap<string, string>;
}

const MAX_WEIGHT = 256;

/** Reads the answer of `/v1/catalog/services`. Throws `CONSUL_UNAVAILABLE` when it is anything else. */
export function readServices(body: unknown, selection: Selection): ServiceList {
  const services = object(body, "the list of services");
  const taken = new Set<string>();
  const ignored = new Map<string, string>();
  for (const [name, tags] of Object.entries(services)) {
    if (tags !== null && !Array.isArray(tags)) throw malformed(`the tags of "${name}" are not a list`);
    if (name === "") continue;
    const reason = whyUnnameable(name) ?? whyServiceIgnored(selection, name, tags ?? []);
    if (reason === undefined) taken.add(name);
    else ignored.set(readableName(name), reason);
  }
  return { taken, ignored };
}

/** Reads the answer of `/v1/health/service/<service>`: the instances that are taken, and why the others are not. Throws `CONSUL_UNAVAILABLE` when it is anything else. */
export function readInstances(body: unknown, service: string, selection: Selection): ServiceAnswer {
  const what = `the instances of "${service}"`;
  if (!Array.isArray(body)) throw malformed(`${what} are not a list`);
  const instances = new Map<string, Instance>();
  const leftOut: LeftOut[] = [];
  for (const element of body as readonly unknown[]) {
    const entry = readEntry(object(element, what), service, selection);
    if (entry === undefined) continue;
    const { node, id } = entry;
    const usable = usableInstance(entry, selection);
    if ("kind" in usable) leftOut.push(usable);
    else instances.set(JSON.stringify([node, id]), usable);
  }
  return { instances: [...instances.values()], leftOut };
}

function usableInstance(entry: Entry, selection: Selection): Instance | LeftOut {
  const { node, id, address, port, weight } = entry;
  const leave = (kind: LeftOut["kind"], reason: string): LeftOut => ({ kind, node, id, reason });
  const ignored = whyInstanceIgnored(selection, entry.tags, entry.metadata);
  if (ignored !== undefined) return leave("ignored", ignored);
  const unhealthy = whyUnhealthy(selection, entry.checks);
  if (unhealthy !== undefined) return leave("unhealthy", unhealthy);
  if (address === undefined) return leave("unusable", `it has no address "${selection.taggedAddress}"`);
  const canonical = connectable(address);
  if (canonical === undefined) return leave("unusable", `"${address}" is not an IP address`);
  if (port === 0) return leave("unusable", "it has no port");
  if (!isIntegerWithin(port, 1, 65_535)) return leave("unusable", `${port} is not a port`);
  return { node, id, address: canonical, port, weight };
}

/** Reads the answer of `/v1/status/leader`. */
export function readLeader(body: unknown): string {
  if (body === undefined) return "";
  if (typeof body !== "string") throw malformed("the leader is not a string");
  return body;
}

/** What an element of the answer says. */
interface Entry {
  readonly node: string;
  readonly id: string;
  /** Undefined when it has none of the kind that is asked for. */
  readonly address: string | undefined;
  readonly port: number;
  readonly weight: number;
  readonly tags: readonly string[];
  readonly metadata: ReadonlyMap<string, string>;
  readonly checks: readonly Check[];
}

function readEntry(entry: Fields, service: string, selection: Selection): Entry | undefined {
  const node = object(entry.Node, `an instance's Node`);
  const self = object(entry.Service, `an instance's Service`);
  const name = text(self.Service, "Service.Service");
  if (name !== service) {
    // Consul finds services whatever their case, and lists them under the case they were registered with.
    if (name.toLowerCase() === service.toLowerCase()) return undefined;
    throw malformed(`asked for "${service}", it answers for another service`);
  }
  if (!Number.isInteger(self.Port)) throw malformed("an instance's Port is not a whole number");
  const metadata = readMetadata(self.Meta);
  const checks = readChecks(entry.Checks);
  return {
    node: identity(node.Node, "Node.Node"),
    id: identity(self.ID, "Service.ID"),
    ...readAddress(node, self, selection),
    weight: readWeight(self.Weights, checks, metadata.get(selection.weightMetadata)),
    tags: readTags(self.Tags),
    metadata,
    checks,
  };
}

function readAddress(
  node: Fields,
  self: Fields,
  { address, taggedAddress }: Selection,
): { readonly address: string | undefined; readonly port: number } {
  const port = self.Port as number;
  const ofNode = () => text(node.Address, "Node.Address");
  if (address === AddressChoice.NODE) return { address: ofNode(), port };
  if (address !== AddressChoice.TAGGED)
    return { address: text(self.Address, "Service.Address") || ofNode(), port };
  const tagged = optionalObject(self.TaggedAddresses, "Service.TaggedAddresses")[taggedAddress];
  if (tagged === undefined) {
    const ofNodes = optionalObject(node.TaggedAddresses, "Node.TaggedAddresses")[taggedAddress];
    return { address: ofNodes === undefined ? undefined : text(ofNodes, "a tagged address"), port };
  }
  const { Address: its, Port: own } = object(tagged, "a tagged address");
  return {
    address: text(its, "a tagged address"),
    port: Number.isInteger(own) && own !== 0 ? (own as number) : port,
  };
}

/** HAProxy's weight: what the metadata says, else that of Consul for the state that the instance is in. */
function readWeight(weights: unknown, checks: readonly Check[], override: string | undefined): number {
  if (override !== undefined && /^\d{1,3}$/.test(override)) return Math.min(Number(override), MAX_WEIGHT);
  const isWarning = checks.some(({ status }) => status === "warning");
  const { Passing: passing, Warning: warning } = optionalObject(weights, "an instance's Weights");
  const weight = isWarning ? warning : passing;
  if (weight === undefined) return 1;
  if (!isIntegerWithin(weight, 0, Number.MAX_SAFE_INTEGER))
    throw malformed("an instance's Weights are not whole numbers");
  return Math.min(weight, MAX_WEIGHT);
}

function readTags(tags: unknown): string[] {
  if (tags === null || tags === undefined) return [];
  if (!Array.isArray(tags)) throw malformed("an instance's Tags are not a list");
  return tags.map((tag) => text(tag, "a tag"));
}

function readMetadata(metadata: unknown): ReadonlyMap<string, string> {
  const entries = Object.entries(optionalObject(metadata, "an instance's Meta"));
  return new Map(entries.map(([key, value]) => [key, text(value, `the metadata "${key}"`)]));
}

function readChecks(checks: unknown): Check[] {
  if (checks === null) return [];
  if (!Array.isArray(checks)) throw malformed("an instance's Checks are not a list");
  return checks.map((element) => {
    const { CheckID: id, Status: status } = object(element, "a check");
    return { id: typeof id === "string" ? id : "", status: text(status, "a check's Status") };
  });
}

/** The canonical form of an address that one can connect to; undefined for all else (names, scoped and unspecified addresses). */
function connectable(address: string): string | undefined {
  switch (isIP(address)) {
    case 4:
      return address === "0.0.0.0" ? undefined : address;
    case 6: {
      if (address.includes("%")) return undefined;
      const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
      return canonical === "::" ? undefined : canonical;
    }
    default:
      return undefined;
  }
}

/** Any text will do: it is hashed where HAProxy's names cannot hold it. */
function identity(value: unknown, what: string): string {
  const name = text(value, what).toWellFormed();
  if (name === "") throw malformed(`${what} is empty`);
  return name;
}

function isIntegerWithin(value: unknown, min: number, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
}
