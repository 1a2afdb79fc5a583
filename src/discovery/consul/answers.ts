import { isIP } from "node:net";
import { DomainError } from "../../lib/errors.ts";
import type { Instance } from "../registry.ts";

/** What an answer about a service holds. */
export interface ServiceAnswer {
  readonly instances: readonly Instance[];
  /** Instances that are healthy and cannot be used, each with the reason. */
  readonly unusable: readonly string[];
}

/** Consul's own service, which is no backend of anybody's. */
const OWN_SERVICE = "consul";
const MAX_WEIGHT = 256;
const MAX_NAME = 512;

/** Reads the answer of `/v1/catalog/services`. Throws `CONSUL_UNAVAILABLE` when it is anything else. */
export function readServices(body: unknown): ReadonlySet<string> {
  const services = object(body, "the list of services");
  for (const [name, tags] of Object.entries(services)) {
    if (tags !== null && !Array.isArray(tags)) throw malformed(`the tags of "${name}" are not a list`);
  }
  return new Set(Object.keys(services).filter(isFollowed));
}

/** Whether a service can have a backend. Whoever may register in Consul may give it any name, so one that is of no use must not stand in the way of the others. */
function isFollowed(name: string): boolean {
  return name !== OWN_SERVICE && name !== "" && name.length <= MAX_NAME;
}

/** Reads the answer of `/v1/health/service/<service>`: the instances whose checks all pass. Throws `CONSUL_UNAVAILABLE` when it is anything else. */
export function readInstances(body: unknown, service: string): ServiceAnswer {
  const what = `the instances of "${service}"`;
  if (!Array.isArray(body)) throw malformed(`${what} are not a list`);
  const instances = new Map<string, Instance>();
  const unusable: string[] = [];
  for (const element of body as readonly unknown[]) {
    const entry = readEntry(object(element, what), service);
    if (entry === undefined || !entry.isPassing) continue;
    const { node, id, port, weight } = entry;
    const address = connectable(entry.address);
    if (address === undefined) unusable.push(`${node}/${id}: "${entry.address}" is not an IP address`);
    else if (port === 0) unusable.push(`${node}/${id}: it has no port`);
    else if (!isIntegerWithin(port, 1, 65_535)) unusable.push(`${node}/${id}: ${port} is not a port`);
    else instances.set(JSON.stringify([node, id]), { node, id, address, port, weight });
  }
  return { instances: [...instances.values()], unusable };
}

/** Reads the answer of `/v1/status/leader`. */
export function readLeader(body: unknown): string {
  if (body === undefined) return "";
  if (typeof body !== "string") throw malformed("the leader is not a string");
  return body;
}

function readEntry(entry: { [name: string]: unknown }, service: string) {
  const node = object(entry.Node, `an instance's Node`);
  const self = object(entry.Service, `an instance's Service`);
  const name = text(self.Service, "Service.Service");
  if (name !== service) {
    // Consul finds services whatever their case, and lists them under the case they were registered with.
    if (name.toLowerCase() === service.toLowerCase()) return undefined;
    throw malformed(`asked for "${service}", it answers for another service`);
  }
  const port = self.Port;
  if (!Number.isInteger(port)) throw malformed("an instance's Port is not a whole number");
  return {
    node: required(node.Node, "Node.Node"),
    id: required(self.ID, "Service.ID"),
    address: text(self.Address, "Service.Address") || text(node.Address, "Node.Address"),
    port: port as number,
    weight: readWeight(self.Weights),
    isPassing: readChecks(entry.Checks).every((status) => status === "passing"),
  };
}

function readWeight(weights: unknown): number {
  if (weights === undefined || weights === null) return 1;
  const { Passing: passing } = object(weights, "an instance's Weights");
  if (passing === undefined) return 1;
  if (!isIntegerWithin(passing, 0, Number.MAX_SAFE_INTEGER))
    throw malformed("an instance's Weights.Passing is not a number");
  return Math.min(passing, MAX_WEIGHT);
}

function readChecks(checks: unknown): string[] {
  if (checks === null) return [];
  if (!Array.isArray(checks)) throw malformed("an instance's Checks are not a list");
  return checks.map((check) => text(object(check, "a check").Status, "a check's Status"));
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

function object(value: unknown, what: string): { [name: string]: unknown } {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw malformed(`${what} is not an object`);
  return value as { [name: string]: unknown };
}

function text(value: unknown, what: string): string {
  if (typeof value !== "string") throw malformed(`${what} is not a string`);
  return value;
}

function required(value: unknown, what: string): string {
  const name = text(value, what);
  if (name === "" || name.length > MAX_NAME) throw malformed(`${what} is empty or too long`);
  return name;
}

function isIntegerWithin(value: unknown, min: number, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
}

function malformed(detail: string): DomainError {
  return new DomainError("CONSUL_UNAVAILABLE", `the answer is not Consul's: ${detail}`);
}
