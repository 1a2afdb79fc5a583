import type { Change } from "../../gen/haplane/v1/configuration_pb.js";
import type { SpoeChange } from "../../gen/haplane/v1/spoe_pb.js";
import type { Fields } from "../grammar/slot.ts";
import { invalid } from "./invalid.ts";
import type { AnyResource, Language, ResourceCase } from "./kinds.ts";
import { type ResourceId, readResourceId } from "./locate.ts";
import { printableName } from "./name.ts";
import { joinPath } from "./write-context.ts";

/** A change, and where it stands in its request. */
export interface PlacedChange {
  readonly change: Change["operation"] | SpoeChange["operation"];
  /** Path of its fields: empty for a request of its own, else `changes[3].update`. */
  readonly path: string;
  /** Path of the resource in it. Default: its field `resource`. */
  readonly resource?: string;
  /** Path of the resource's value. Default: the field of its kind in the resource. */
  readonly value?: string;
}

/** A resource in a request. */
export interface Target {
  readonly id: ResourceId;
  readonly resource: AnyResource;
  readonly value: Fields;
  /** Path of the value: `resource.backend`. */
  readonly path: string;
}

/** The resource that a change writes. Throws `FIELD_INVALID` when it is missing, or its name and its kind do not agree. */
export function targetOf(
  resource: AnyResource | undefined,
  placed: PlacedChange,
  language: Language,
): Target {
  const field = placed.resource ?? joinPath(placed.path, "resource");
  if (resource === undefined) throw invalid(field, "must be set");
  const id = readResourceId(resource.name, `${field}.name`, language);
  const expected = id.child?.kind.case ?? id.kind.case;
  const found: ResourceCase | undefined = resource.kind.case;
  if (found !== expected) {
    const name = id.child?.kind.case ?? id.kind.field;
    const other = found === undefined ? "nothing" : (language.kindOfCase(found)?.field ?? found);
    throw invalid(`${field}.kind`, `${printableName(resource.name)} is a ${name}, but ${other} is set`);
  }
  return {
    id,
    resource,
    value: resource.kind.value as unknown as Fields,
    path: placed.value ?? `${field}.${id.child?.kind.case ?? id.kind.field}`,
  };
}
