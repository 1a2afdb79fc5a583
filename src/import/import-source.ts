import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  HealthPolicy,
  SlotGrowth,
  type SlotsSchema,
  type Source,
  SourceSchema,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import type { Note } from "./note.ts";

/** A source of the Data Plane API's service discovery, as its JSON has it: models of `consul`. */
export interface Consul {
  readonly [name: string]: unknown;
}

/** A source, ready to be created. */
export interface ImportedSource {
  /** Last part of its resource name. */
  readonly id: string;
  readonly source: Source;
  readonly notes: readonly Note[];
}

const POLICIES: Readonly<Record<string, HealthPolicy>> = {
  none: HealthPolicy.NONE,
  any: HealthPolicy.ANY,
  all: HealthPolicy.PASSING,
  min: HealthPolicy.MINIMUM,
};
const MIN_RETRY_MS = 100;
const MAX_RETRY_MS = 300_000;
const MAX_ID_LENGTH = 63;

/** Taken over above, or without a meaning of its own. */
const KNOWN = new Set([
  ...[
    "id",
    "name",
    "description",
    "address",
    "port",
    "enabled",
    "retry_timeout",
    "token",
    "mode",
    "namespace",
  ],
  ...["defaults", "service_allowlist", "service-whitelist", "service_denylist", "service-blacklist"],
  ...["service_name_regexp", "health_check_policy", "health_check_policy_min", "server_slots_base"],
  ...["server_slots_growth_type", "server_slots_growth_increment"],
]);

/** Makes a source of one Consul of the Data Plane API. Its backends keep their names. What would change which services are taken leaves it disabled. */
export function importConsul(consul: Consul, taken: ReadonlySet<string>): ImportedSource {
  const id = idFor(consul, taken);
  const notes: Note[] = [];
  const note = (text: string) => void notes.push({ at: `sources/${id}`, text });
  const text = (name: string) => (typeof consul[name] === "string" ? consul[name] : "");
  const texts = (...names: string[]) =>
    names.flatMap((name) => (Array.isArray(consul[name]) ? consul[name].map(String) : []));

  let enabled = consul.enabled !== false;
  const unlike = (what: string) => {
    note(`${what} It is disabled: look at its filter before you enable it`);
    enabled = false;
  };
  const pattern = text("service_name_regexp");
  const namePattern = wholePattern(pattern);
  if (namePattern === undefined)
    unlike(
      `has service_name_regexp ${JSON.stringify(pattern)}, whose search in names has no short form as a match of whole ones.`,
    );
  for (const name of Object.keys(consul))
    if (!KNOWN.has(name)) note(`has ${name}, which is not known here and was left out`);
  const allow = texts("service_allowlist", "service-whitelist");
  const policy = text("health_check_policy") || "none";
  const registry: MessageInitShape<typeof SourceSchema>["registry"] = {
    case: "consul",
    value: {
      address: text("address"),
      ...(typeof consul.port === "number" && { port: consul.port }),
      token: text("token"),
      ...(text("mode") === "https" && { tls: {} }),
      namespace: text("namespace"),
      health: POLICIES[policy] ?? HealthPolicy.NONE,
      minPassing: policy === "min" ? Number(consul.health_check_policy_min ?? 1) : 0,
      filter: {
        allow,
        // There a name in both lists is taken.
        deny: texts("service_denylist", "service-blacklist").filter((name) => !allow.includes(name)),
        namePattern: namePattern ?? "",
      },
    },
  };
  const source = create(SourceSchema, {
    description: text("description") || text("name"),
    enabled,
    retryTimeout: retryTimeout(consul.retry_timeout),
    defaults: text("defaults"),
    slots: slotsOf(consul),
    registry,
  });
  return { id, source, notes };
}

/** The name of a source as it may be here, from the name or the id that it had. */
function idFor(consul: Consul, taken: ReadonlySet<string>): string {
  const wanted = [consul.name, consul.id, `${consul.address}-${consul.port}`].find(
    (name) => typeof name === "string" && name !== "",
  );
  const plain = String(wanted)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  const base = (/^[a-z]/.test(plain) ? plain : `consul-${plain}`).slice(0, MAX_ID_LENGTH - 4);
  if (!taken.has(base)) return base;
  for (let number = 2; ; number += 1) if (!taken.has(`${base}-${number}`)) return `${base}-${number}`;
}

/** A pattern that is searched for, as one that matches whole names. Undefined when that would take more choices than a name pattern may have. */
function wholePattern(pattern: string): string | undefined {
  if (pattern === "") return "";
  const start = pattern.startsWith("^");
  const end = pattern.endsWith("$") && !pattern.endsWith("\\$");
  const inner = pattern.slice(start ? 1 : 0, end ? -1 : undefined);
  if (inner.includes("|") && !(start && end)) return undefined;
  return `${start ? "" : ".*"}${inner}${end ? "" : ".*"}`;
}

/** The reserve that it had, for backends that need one here. Its least of 10 is our default. */
function slotsOf(consul: Consul): MessageInitShape<typeof SlotsSchema> {
  const count = (value: unknown) => (typeof value === "number" && value >= 10 ? Math.min(value, 10_000) : 10);
  return consul.server_slots_growth_type === "linear"
    ? {
        base: count(consul.server_slots_base),
        growth: SlotGrowth.LINEAR,
        increment: count(consul.server_slots_growth_increment),
      }
    : { base: count(consul.server_slots_base), growth: SlotGrowth.EXPONENTIAL };
}

function retryTimeout(seconds: unknown) {
  const ms = Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, Number(seconds) * 1_000 || 1_000));
  return { seconds: BigInt(Math.floor(ms / 1_000)), nanos: (ms % 1_000) * 1_000_000 };
}
