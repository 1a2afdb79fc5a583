import { isIP } from "node:net";
import { clone, create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import {
  type ConsulRegistry,
  ConsulRegistrySchema,
  type Source,
  SourceSchema,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import type { BackoffOptions } from "../lib/backoff.ts";
import { DomainError, type FieldViolation } from "../lib/errors.ts";

/**
 * The settings of a source: a `Source` message in which every default is filled in, the token is there, and what is output only (etag, status, token_set) is not. It is
 * what the store keeps and what an etag is made of.
 */
export type SourceSettings = Source & {
  readonly enabled: boolean;
  readonly retryTimeout: Duration;
  readonly registry: {
    readonly case: "consul";
    readonly value: ConsulRegistry & { readonly port: number };
  };
};

const DEFAULT_PORT = 8500;
const DEFAULT_RETRY_MS = 1_000;
const MIN_RETRY_MS = 100;
const MAX_RETRY_MS = 300_000;
const MAX_RETRY_FACTOR = 30;
const MAX_DESCRIPTION = 1_024;
const SOURCE_ID = /^[a-z][a-z0-9-]{0,62}$/;
const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$/;
/** What an HTTP header can carry. */
const TOKEN = /^[\x21-\x7e]{0,4096}$/;

/** The waits after failed queries. */
export function retryDelays({ retryTimeout }: SourceSettings): BackoffOptions {
  const firstMs = durationMs(retryTimeout);
  return { firstMs, maxMs: firstMs * MAX_RETRY_FACTOR };
}

/**
 * Makes settings of what a client sent, under this name. Throws `FIELD_INVALID` with every violation; `path` is where the message is in the request.
 */
export function readSettings(name: string, source: Source, path: string): SourceSettings {
  const consul = source.registry.case === "consul" ? source.registry.value : undefined;
  const settings = create(SourceSchema, {
    name,
    description: source.description,
    enabled: source.enabled ?? true,
    retryTimeout: source.retryTimeout ?? duration(DEFAULT_RETRY_MS),
    registry: {
      case: "consul",
      value: create(ConsulRegistrySchema, {
        address: consul?.address ?? "",
        port: consul?.port ?? DEFAULT_PORT,
        token: consul?.token ?? "",
      }),
    },
  }) as SourceSettings;
  refuse(
    consul === undefined
      ? [{ field: `${path}.consul`, description: "is required" }]
      : violationsOf(settings, path),
  );
  return settings;
}

/** The source as answers and events have it, without its status. */
export function toSource(settings: SourceSettings, etag: string): Source {
  const source = clone(SourceSchema, settings);
  source.etag = etag;
  const consul = source.registry.value as ConsulRegistry;
  consul.tokenSet = consul.token !== "";
  consul.token = "";
  return source;
}

/** The resource name for the id that a creation asks for. Throws `FIELD_INVALID`. */
export function readSourceName(id: string, name: string): string {
  if (id === "" && name === "") {
    throw invalid("source_id", "is required, unless source.name is given");
  }
  const fromId = `sources/${id}`;
  if (id !== "" && !SOURCE_ID.test(id)) {
    throw invalid("source_id", "must be 1 to 63 of a-z, 0-9 and -, beginning with a letter");
  }
  if (name === "" || name === fromId) return fromId;
  if (id !== "") throw invalid("source.name", `must be "${fromId}", as source_id says, or be left out`);
  if (!name.startsWith("sources/") || !SOURCE_ID.test(name.slice("sources/".length))) {
    throw invalid("source.name", "must be sources/ and 1 to 63 of a-z, 0-9 and -, beginning with a letter");
  }
  return name;
}

/** Refuses a request for these violations, if there are any: throws `FIELD_INVALID`. */
export function refuse(violations: readonly FieldViolation[]): void {
  const [first] = violations;
  if (first === undefined) return;
  throw new DomainError("FIELD_INVALID", `${first.field} ${first.description}`, { violations });
}

function violationsOf(settings: SourceSettings, path: string): FieldViolation[] {
  const violations: FieldViolation[] = [];
  const demand = (isMet: boolean, field: string, description: string) => {
    if (!isMet) violations.push({ field: `${path}.${field}`, description });
  };
  const { address, port, token } = settings.registry.value;
  demand(
    settings.description.length <= MAX_DESCRIPTION,
    "description",
    `must have at most ${MAX_DESCRIPTION} characters`,
  );
  demand(isHost(address), "consul.address", "must be a host name or an IP address, without brackets or port");
  demand(port >= 1 && port <= 65_535, "consul.port", "must be 1 to 65535");
  demand(
    TOKEN.test(token),
    "consul.token",
    "must be printable ASCII without spaces, at most 4096 characters",
  );
  demand(
    isWithin(durationMs(settings.retryTimeout), MIN_RETRY_MS, MAX_RETRY_MS),
    "retry_timeout",
    "must be 100 ms to 5 min",
  );
  return violations;
}

function isHost(address: string): boolean {
  return isIP(address) === 0 ? HOST_NAME.test(address) : !address.includes("%");
}

function isWithin(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}

function durationMs({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1_000 + nanos / 1_000_000;
}

function duration(ms: number): Duration {
  return create(DurationSchema, {
    seconds: BigInt(Math.floor(ms / 1_000)),
    nanos: (ms % 1_000) * 1_000_000,
  });
}

function invalid(field: string, description: string): DomainError {
  return new DomainError("FIELD_INVALID", `${field} ${description}`, {
    violations: [{ field, description }],
  });
}
