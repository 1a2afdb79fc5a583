import { create } from "@bufbuild/protobuf";
import { type ConsulRegistry, type Source, SourceSchema } from "../../gen/haplane/v1/service_discovery_pb.js";
import type { FieldViolation } from "../lib/errors.ts";
import { readSettings, refuse, type SourceSettings } from "./settings.ts";

/** The fields that an update can change, by their paths in a mask. */
const CHANGEABLE = {
  description: "description",
  enabled: "enabled",
  retry_timeout: "retryTimeout",
  "consul.token": "token",
} as const satisfies Record<string, keyof Values>;

/** Paths that a mask may name too: to say that the field is as it was, or as a prefix of others. */
const TOLERATED = ["name", "consul.address", "consul.port", "consul", "*"];

/** Their values; undefined or empty when they are not set. */
type Values = Pick<Source, "description" | "enabled" | "retryTimeout"> & { token: string };

/**
 * The settings after an update: with the fields that the mask names, or without a mask those that are set. A token that is left out is kept, unless the mask names just
 * it. Throws `FIELD_INVALID` with every violation, for paths of an UpdateSourceRequest.
 */
export function updateSettings(
  present: SourceSettings,
  source: Source,
  mask: readonly string[] = [],
): SourceSettings {
  refuse([...fixedViolations(present.registry.value, source), ...maskViolations(mask)]);
  const wanted = valuesOf(source);
  const values: Partial<Record<keyof Values, unknown>> = valuesOf(present);
  for (const [path, key] of Object.entries(CHANGEABLE)) {
    const isSet = wanted[key] !== undefined && wanted[key] !== "";
    if (isMeant(path, isSet, mask)) values[key] = wanted[key];
  }
  const { token, ...others } = values as Values;
  const changed = create(SourceSchema, {
    ...others,
    registry: { case: "consul", value: { ...present.registry.value, token } },
  });
  return readSettings(present.name, changed, "source");
}

function valuesOf({ description, enabled, retryTimeout, registry }: Source): Values {
  const token = registry.case === "consul" ? registry.value.token : "";
  return { description, enabled, retryTimeout, token };
}

function isMeant(path: string, isSet: boolean, mask: readonly string[]): boolean {
  if (mask.length === 0) return isSet;
  if (mask.includes(path)) return true;
  const isCovered = mask.some((prefix) => prefix === "*" || path.startsWith(`${prefix}.`));
  return isCovered && (isSet || CHANGEABLE[path as keyof typeof CHANGEABLE] !== "token");
}

function fixedViolations(present: ConsulRegistry, { registry }: Source): FieldViolation[] {
  const violations: FieldViolation[] = [];
  if (registry.case !== "consul") return violations;
  const { address, port } = registry.value;
  if (address !== "" && address !== present.address) {
    violations.push({
      field: "source.consul.address",
      description: `cannot be changed from "${present.address}"`,
    });
  }
  if (port !== undefined && port !== present.port) {
    violations.push({
      field: "source.consul.port",
      description: `cannot be changed from ${present.port}`,
    });
  }
  return violations;
}

function maskViolations(mask: readonly string[]): FieldViolation[] {
  const known = [...Object.keys(CHANGEABLE), ...TOLERATED];
  return mask
    .filter((path) => !known.includes(path))
    .map((path) => ({
      field: "update_mask",
      description: `"${path.slice(0, 64)}" cannot be changed; what can is ${Object.keys(CHANGEABLE).join(", ")}`,
    }));
}
