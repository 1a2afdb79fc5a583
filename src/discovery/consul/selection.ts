import { AddressChoice, HealthPolicy } from "../../../gen/haplane/v1/service_discovery_pb.js";

/** Which services and instances of a Consul are taken, and what of them. */
export interface Selection {
  /** Empty for all. */
  readonly allow: ReadonlySet<string>;
  readonly deny: ReadonlySet<string>;
  /** Matches whole names. */
  readonly pattern: RegExp | undefined;
  readonly tags: readonly string[];
  readonly metadata: ReadonlyMap<string, string>;
  readonly health: HealthPolicy;
  readonly minPassing: number;
  readonly address: AddressChoice;
  readonly taggedAddress: string;
  /** Empty for none. */
  readonly weightMetadata: string;
}

/** Takes everything that passes, at its service address. */
export const SELECT_ALL: Selection = {
  allow: new Set(),
  deny: new Set(),
  pattern: undefined,
  tags: [],
  metadata: new Map(),
  health: HealthPolicy.PASSING,
  minPassing: 0,
  address: AddressChoice.SERVICE,
  taggedAddress: "",
  weightMetadata: "",
};

/** Consul's own service, which is no backend of anybody's. */
export const OWN_SERVICE = "consul";
const MAINTENANCE = /^_(?:service|node)_maintenance/;

/** A check of an instance or of its node. */
export interface Check {
  readonly id: string;
  readonly status: string;
}

/** Why a service is not taken; undefined when it is. `tags` are those of all its instances. */
export function whyServiceIgnored(
  { allow, deny, pattern, tags: wanted }: Selection,
  service: string,
  tags: readonly unknown[],
): string | undefined {
  if (service === OWN_SERVICE) return "it is Consul's own";
  if (deny.has(service)) return "it is in filter.deny";
  if (allow.size > 0 && !allow.has(service)) return "it is not in filter.allow";
  if (pattern !== undefined && !pattern.test(service)) return "its name does not match filter.name_pattern";
  const missing = wanted.find((tag) => !tags.includes(tag));
  return missing === undefined ? undefined : `no instance has the tag "${missing}" of filter.tags`;
}

/** Why an instance is not one of those that are asked for; undefined when it is. */
export function whyInstanceIgnored(
  { tags: wanted, metadata: wantedMetadata }: Selection,
  tags: readonly string[],
  metadata: ReadonlyMap<string, string>,
): string | undefined {
  const missing = wanted.find((tag) => !tags.includes(tag));
  if (missing !== undefined) return `it lacks the tag "${missing}" of filter.tags`;
  for (const [key, value] of wantedMetadata) {
    if (metadata.get(key) !== value) return `its metadata "${key}" is not that of filter.metadata`;
  }
  return undefined;
}

/** Why an instance is not healthy enough; undefined when it is. */
export function whyUnhealthy(
  { health, minPassing }: Pick<Selection, "health" | "minPassing">,
  checks: readonly Check[],
): string | undefined {
  if (health === HealthPolicy.NONE) return undefined;
  if (checks.some(({ id, status }) => MAINTENANCE.test(id) && status !== "passing"))
    return "it is in maintenance";
  const bad = checks.find(({ status }) => status !== "passing");
  const passing = checks.filter(({ status }) => status === "passing").length;
  switch (health) {
    case HealthPolicy.ANY:
      return passing > 0 || checks.length === 0 ? undefined : "none of its checks passes";
    case HealthPolicy.MINIMUM:
      return passing >= minPassing ? undefined : `${passing} of its checks pass, fewer than ${minPassing}`;
    default:
      return bad === undefined ? undefined : `its check "${bad.id.slice(0, 100)}" is ${bad.status}`;
  }
}
