import { clone, create } from "@bufbuild/protobuf";
import {
  ConsulRegistrySchema,
  DnsRegistrySchema,
  SlotGrowth,
  type Slots,
  type Source,
  SourceSchema,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import type { BackoffOptions } from "../lib/backoff.ts";
import { DomainError, type FieldViolation } from "../lib/errors.ts";
import { DEFAULT_BACKEND_NAMES, fillTemplate } from "./backend-template.ts";
import { duration, durationMs } from "./durations.ts";
import type { SlotPolicy } from "./slots.ts";
import type { SourceSettings } from "./source-settings.ts";
import { violationsOf } from "./violations.ts";

const DEFAULT_PORT = 8500;
const DEFAULT_INTERVAL_MS = 5_000;
const DEFAULT_RETRY_MS = 1_000;
const DEFAULT_ACCEPT_LOSS_MS = 30_000;
const DEFAULT_LOSS_PERCENT = 50;
const DEFAULT_DRAIN_MS = 600_000;
const DEFAULT_SLOTS = 10;
const MAX_RETRY_FACTOR = 30;

/** The waits after failed queries. */
export function retryDelays({ retryTimeout }: SourceSettings): BackoffOptions {
  const firstMs = durationMs(retryTimeout);
  return { firstMs, maxMs: firstMs * MAX_RETRY_FACTOR };
}

/** How a source calls the backends of its services. */
export function backendNaming({ name, backendName, registry }: SourceSettings): (service: string) => string {
  const { address, port } = registry.case === "consul" ? registry.value : { address: "", port: "" };
  const source = name.slice("sources/".length);
  return (service) => fillTemplate(backendName, { service, address, port: String(port), source });
}

/** How the slots of a source are made; undefined when it has none. */
export function slotPolicy({ slots }: SourceSettings): SlotPolicy | undefined {
  if (slots === undefined) return undefined;
  const { base, growth, increment, always } = slots;
  return { base, increment: growth === SlotGrowth.EXPONENTIAL ? "double" : increment, always };
}

/**
 * Makes settings of what a client sent, under this name. Throws `FIELD_INVALID` with every violation; `path` is where the message is in the request.
 */
export function readSettings(name: string, source: Source, path: string): SourceSettings {
  if (source.registry.case === undefined)
    throw refusal([{ field: `${path}.consul`, description: "is required, or another registry" }]);
  const settings = withDefaults(source);
  settings.name = name;
  refuse(violationsOf(settings, path));
  return settings;
}

/** The settings of a message that holds what a client may set, or what an earlier haplane has kept. */
export function withDefaults(source: Source): SourceSettings {
  const settings = create(SourceSchema, {
    name: source.name,
    description: source.description,
    enabled: source.enabled ?? true,
    retryTimeout: source.retryTimeout ?? duration(DEFAULT_RETRY_MS),
    backendName: source.backendName || DEFAULT_BACKEND_NAMES[source.registry.case ?? "consul"],
    acceptLossAfter: source.acceptLossAfter ?? duration(DEFAULT_ACCEPT_LOSS_MS),
    lossPercent: source.lossPercent ?? DEFAULT_LOSS_PERCENT,
    defaults: source.defaults,
    serverTemplate: source.serverTemplate,
    drainTime: source.drainTime ?? duration(DEFAULT_DRAIN_MS),
    ...(source.slots && { slots: slotsWithDefaults(source.slots) }),
  });
  if (source.registry.case === "consul") {
    const value = clone(ConsulRegistrySchema, source.registry.value);
    value.port ??= DEFAULT_PORT;
    value.tokenSet = false;
    if (value.tls !== undefined) value.tls.clientKeySet = false;
    settings.registry = { case: "consul", value };
  }
  if (source.registry.case === "dns") {
    const value = clone(DnsRegistrySchema, source.registry.value);
    value.interval ??= duration(DEFAULT_INTERVAL_MS);
    settings.registry = { case: "dns", value };
  }
  return settings as SourceSettings;
}

function slotsWithDefaults({ base, increment, ...slots }: Slots): Slots {
  const size = base || DEFAULT_SLOTS;
  return { ...slots, base: size, increment: increment || size };
}

/** The source as answers and events have it, without its status. */
export function toSource(settings: SourceSettings, etag: string): Source {
  const source = clone(SourceSchema, settings);
  source.etag = etag;
  if (source.registry.case !== "consul") return source;
  const consul = source.registry.value;
  consul.tokenSet = consul.token !== "";
  consul.token = "";
  if (consul.tls !== undefined) {
    consul.tls.clientKeySet = consul.tls.clientKey !== "";
    consul.tls.clientKey = "";
  }
  return source;
}

/** Refuses a request for these violations, if there are any: throws `FIELD_INVALID`. */
export function refuse(violations: readonly FieldViolation[]): void {
  if (violations.length > 0) throw refusal(violations);
}

function refusal(violations: readonly FieldViolation[]): DomainError {
  const [first] = violations;
  return new DomainError("FIELD_INVALID", `${first?.field} ${first?.description}`, { violations });
}
