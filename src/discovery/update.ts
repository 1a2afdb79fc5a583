import { clone, type DescField } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { type Source, SourceSchema } from "../../gen/haplane/v1/service_discovery_pb.js";
import type { FieldViolation } from "../lib/errors.ts";
import { readSettings, refuse } from "./settings.ts";
import type { SourceSettings } from "./source-settings.ts";

/** Fields that say what a source is, and what its backends are called. */
const FIXED = new Set([
  "name",
  "backend_name",
  "consul.address",
  "consul.port",
  "consul.datacenter",
  "consul.namespace",
  "consul.partition",
]);
const OUTPUT_ONLY = new Set(["etag", "status", "consul.token_set", "consul.tls.client_key_set"]);
/** Messages of other packages, and maps of the update, are taken as a whole. */
const OWN_PACKAGE = "haplane.v1.";

/** What an update does to one field. */
interface Step {
  readonly path: string;
  /** The way to it; the last is the field itself. */
  readonly fields: readonly DescField[];
  /** It was named itself, not a message that holds it. */
  readonly isNamed: boolean;
}

/**
 * The settings after an update: with the fields that the mask names, or without a mask those that are set. A secret that is left out is kept, unless the mask names just
 * it. Throws `FIELD_INVALID` with every violation, for paths of an UpdateSourceRequest.
 */
export function updateSettings(
  present: SourceSettings,
  source: Source,
  mask: readonly string[] = [],
): SourceSettings {
  const wanted = reflect(SourceSchema, source);
  const changed = reflect(SourceSchema, clone(SourceSchema, present));
  const violations: FieldViolation[] = [];
  if (source.registry.case !== undefined && source.registry.case !== present.registry.case)
    violations.push({ field: "source", description: `the registry stays ${present.registry.case}` });
  refuse(violations);
  for (const step of steps(wanted, mask, violations)) {
    if (OUTPUT_ONLY.has(step.path)) continue;
    if (FIXED.has(step.path)) violations.push(...fixedViolations(step, changed, wanted));
    else apply(step, changed, wanted);
  }
  // The mask does not have to name what cannot be changed for that to be refused.
  for (const step of steps(wanted, [], [])) {
    if (FIXED.has(step.path)) violations.push(...fixedViolations(step, changed, wanted));
  }
  refuse(violations.filter(isFirstOfItsField));
  return readSettings(present.name, changed.message as Source, "source");
}

function* steps(
  wanted: ReflectMessage,
  mask: readonly string[],
  violations: FieldViolation[],
): Generator<Step> {
  if (mask.length === 0) {
    for (const step of below(wanted, [], "")) if (isSet(wanted, step.fields)) yield step;
    return;
  }
  for (const path of mask) {
    if (path === "*") {
      yield* below(wanted, [], "");
      continue;
    }
    const fields = find(path);
    if (fields === undefined || OUTPUT_ONLY.has(path))
      violations.push({ field: "update_mask", description: `"${path.slice(0, 64)}" cannot be changed` });
    else yield* expand(wanted, fields, path, true);
  }
}

/** The fields below a message, except those of a registry or message that the update does not have. */
function* below(wanted: ReflectMessage, parents: readonly DescField[], prefix: string): Generator<Step> {
  const desc = parents.length === 0 ? SourceSchema : parents.at(-1)?.message;
  for (const field of desc?.fields ?? []) {
    yield* expand(wanted, [...parents, field], `${prefix}${field.name}`, false);
  }
}

function* expand(
  wanted: ReflectMessage,
  fields: readonly DescField[],
  path: string,
  isNamed: boolean,
): Generator<Step> {
  const field = fields.at(-1) as DescField;
  const isOwnMessage = field.fieldKind === "message" && field.message.typeName.startsWith(OWN_PACKAGE);
  if (isOwnMessage && isSet(wanted, fields)) yield* below(wanted, fields, `${path}.`);
  else if (field.oneof === undefined || !isOwnMessage) yield { path, fields, isNamed };
}

function apply({ fields, isNamed }: Step, changed: ReflectMessage, wanted: ReflectMessage): void {
  const field = fields.at(-1) as DescField;
  if (isSet(wanted, fields)) {
    // A message that is new, such as a filter where there was none, is made on the way.
    parent(changed, fields, true)?.set(field, parent(wanted, fields, false)?.get(field));
    return;
  }
  const isSecret = field.proto.options?.debugRedact === true;
  if (!isSecret || isNamed) parent(changed, fields, false)?.clear(field);
}

function fixedViolations(
  { path, fields }: Step,
  present: ReflectMessage,
  wanted: ReflectMessage,
): FieldViolation[] {
  if (!isSet(wanted, fields)) return [];
  const field = fields.at(-1) as DescField;
  const is = parent(present, fields, false)?.get(field);
  const sent = parent(wanted, fields, false)?.get(field);
  if (is === sent) return [];
  return [{ field: `source.${path}`, description: `cannot be changed from "${is}"` }];
}

function find(path: string): readonly DescField[] | undefined {
  const fields: DescField[] = [];
  let desc = SourceSchema as (typeof SourceSchema & { fields: DescField[] }) | DescField["message"];
  for (const part of path.split(".")) {
    const field: DescField | undefined = desc?.fields.find(({ name }) => name === part);
    if (field === undefined) return undefined;
    fields.push(field);
    desc = field.fieldKind === "message" ? field.message : undefined;
  }
  return fields;
}

function isSet(message: ReflectMessage, fields: readonly DescField[]): boolean {
  const [field, ...rest] = fields;
  if (field === undefined) return true;
  if (!message.isSet(field)) return false;
  return rest.length === 0 || isSet(message.get(field) as ReflectMessage, rest);
}

/** The message that holds the last field; undefined when it is not there and not to be made. */
function parent(
  message: ReflectMessage,
  fields: readonly DescField[],
  make: boolean,
): ReflectMessage | undefined {
  const [field, ...rest] = fields;
  if (field === undefined || rest.length === 0) return message;
  if (!message.isSet(field) && !make) return undefined;
  const child = message.get(field) as ReflectMessage;
  if (!message.isSet(field)) message.set(field, child);
  return parent(message.get(field) as ReflectMessage, rest, make);
}

function isFirstOfItsField(
  { field, description }: FieldViolation,
  index: number,
  all: readonly FieldViolation[],
): boolean {
  return all.findIndex((other) => other.field === field && other.description === description) === index;
}
