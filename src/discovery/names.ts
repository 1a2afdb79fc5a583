import { createHash } from "node:crypto";

/** Everything that HAProxy does not allow in the name of a proxy or server. */
const ILLEGAL = /[^A-Za-z0-9_.:-]/g;
/** How the names of `retry` end; a registry's own name must not look like one. */
const RETRY_SUFFIX = /::\d+$/;
/** Long enough for any sensible name, short enough for HAProxy's line limit and for people. */
const MAX_SERVER_NAME = 100;
const MAX_SERVICE_PART = 120;
const HASH_LENGTH = 8;

/** What identifies an instance within its service. */
interface InstanceKey {
  readonly node: string;
  readonly id: string;
}

/**
 * Gives each instance its server name, `<node>-<id>`: stable, readable, unique among those given. Where characters had to be replaced, where the name was cut, or
 * where two would be the same, a short hash of node and id is added. The result does not depend on the order.
 */
export function nameInstances<T extends InstanceKey>(instances: readonly T[]): Map<string, T> {
  const named = new Map<string, T>();
  const clashes: T[] = [];
  for (const instance of sorted(instances)) {
    const name = serverName(instance);
    if (named.has(name)) clashes.push(instance);
    else named.set(name, instance);
  }
  for (const instance of clashes) {
    let salt = "";
    while (named.has(hashedServerName(instance, salt))) salt += "+";
    named.set(hashedServerName(instance, salt), instance);
  }
  return named;
}

/** The backend of a service as `nameOf` calls it, sanitised as server names are. `salt` tells apart what would be the same. */
export function backendName(nameOf: (service: string) => string, service: string, salt = ""): string {
  const clean = service.replace(ILLEGAL, "-").slice(0, MAX_SERVICE_PART);
  return clean === service && salt === "" ? nameOf(service) : nameOf(`${clean}-${hash(`${salt}${service}`)}`);
}

/** The name for a server whose own name is still held by a predecessor that is leaving: `web::2`, `web::3`, … */
export function retryName(name: string, attempt: number): string {
  return `${name}::${attempt}`;
}

/** The name of a slot. No instance has one like it: theirs have a hyphen before any `::`. */
export function slotName(number: number | ""): string {
  return `slot::${number}`;
}

/** Which instance a server is for: the name that `retryName` was given, or the name itself. A slot is for any, so it is called by its own. */
export function instanceName(name: string): string {
  return name.startsWith(slotName("")) ? name : name.replace(RETRY_SUFFIX, "");
}

function serverName(instance: InstanceKey): string {
  const plain = `${instance.node}-${instance.id}`;
  const isFine = plain.length <= MAX_SERVER_NAME && plain.search(ILLEGAL) < 0 && !RETRY_SUFFIX.test(plain);
  return isFine ? plain : hashedServerName(instance, "");
}

function hashedServerName(instance: InstanceKey, salt: string): string {
  const clean = `${instance.node}-${instance.id}`.replace(ILLEGAL, "-");
  return `${clean.slice(0, MAX_SERVER_NAME - HASH_LENGTH - 1)}-${hash(JSON.stringify([salt, instance.node, instance.id]))}`;
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, HASH_LENGTH);
}

function sorted<T extends InstanceKey>(instances: readonly T[]): T[] {
  return [...instances].sort((a, b) => compare(a.node, b.node) || compare(a.id, b.id));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
