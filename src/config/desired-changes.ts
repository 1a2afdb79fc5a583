import { create } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import {
  DeleteChangeSchema,
  type Resource,
  UpdateChangeSchema,
} from "../../gen/haplane/v1/configuration_pb.js";
import { type Fields, slotOf } from "../grammar/slot.ts";
import { DomainError } from "../lib/errors.ts";
import type { Document } from "../text/document.ts";
import type { PlacedChange } from "./apply-changes.ts";
import { childrenOf } from "./children.ts";
import { type ChildKind, kindOfCase, kindOfCollection, type SectionKind } from "./kinds.ts";
import { namedSections, readResourceId, writeResourceId } from "./locate.ts";
import { printableName, splitName } from "./name.ts";

/** Whether a backend's servers follow a registry: they are left to service discovery. */
export type Owns = (backend: string) => boolean;

/** The configuration as it is to be. */
export interface Desired {
  readonly resources: readonly Resource[];
  /** Collections in which nothing else is to be. */
  readonly prune: readonly string[];
}

/**
 * The changes that make a document be as desired: an update of everything that is desired (it touches only what differs), and a removal of everything else in the collections that are to
 * be pruned. What service discovery owns is neither removed nor are its servers set. Throws `FIELD_INVALID`.
 */
export function desiredChanges(
  document: Document,
  { resources, prune }: Desired,
  owns: Owns,
): PlacedChange[] {
  const names = new Set<string>();
  const changes = resources.map((resource, index): PlacedChange => {
    const path = `desired[${index}]`;
    const id = readResourceId(resource.name, `${path}.name`);
    const name = writeResourceId(id);
    if (names.has(name)) throw invalid(`${path}.name`, `${printableName(name)} is desired twice`);
    names.add(name);
    return { path, change: { case: "update", value: desired(resource, owns) } };
  });
  const gone = new Set(
    prune.flatMap((collection, index) => [...prunedNames(document, collection, `prune[${index}]`, owns)]),
  );
  // What is in a section that goes, goes with it.
  const removals = [...gone]
    .filter(
      (name) =>
        !names.has(name) && !(isChild(name) && gone.has(sectionOf(name)) && !names.has(sectionOf(name))),
    )
    .map((name): PlacedChange => {
      const value = create(DeleteChangeSchema, { name, allowMissing: true });
      return { path: "prune", change: { case: "delete", value } };
    });
  return [...removals, ...changes];
}

function isChild(name: string): boolean {
  return name.split("/").length === 4;
}

function sectionOf(name: string): string {
  return name.split("/").slice(0, 2).join("/");
}

/** A desired resource as an update: all its fields, and its children where it has some and they are not discovery's. */
function desired(resource: Resource, owns: Owns) {
  const kind = resource.kind.case === undefined ? undefined : kindOfCase(resource.kind.case);
  let value = resource;
  if (kind?.children.some(({ case: child }) => child === "server")) {
    const [, backend = ""] = splitName(resource.name) ?? [];
    if (owns(backend)) value = withoutServers(resource, kind);
  }
  return create(UpdateChangeSchema, {
    resource: value,
    updateMask: create(FieldMaskSchema, { paths: ["*"] }),
    allowMissing: true,
  });
}

function withoutServers(resource: Resource, kind: SectionKind): Resource {
  const message = { ...(resource.kind.value as unknown as Fields) };
  for (const { case: child, directive } of kind.children)
    if (child === "server") slotOf(directive.syntax.field).set(message, []);
  return { ...resource, kind: { case: kind.case, value: message } } as Resource;
}

/** The names in a collection that may be pruned. */
function* prunedNames(document: Document, collection: string, field: string, owns: Owns): Generator<string> {
  const parts = splitName(collection);
  const kind = kindOfCollection(parts?.[0] ?? "");
  const child = kind?.children.find(({ collection: name }) => name === parts?.[2]);
  if (
    parts === undefined ||
    kind === undefined ||
    !(parts.length === 1 || (parts.length === 3 && child !== undefined))
  )
    throw invalid(
      field,
      `must be a collection, such as backends or backends/web/servers; found "${printableName(collection)}"`,
    );
  for (const { id, section } of namedSections(document, kind)) {
    const owned = kind.children.some(({ case: name }) => name === "server") && owns(id);
    if (child === undefined) {
      if (!owned) yield writeResourceId({ kind, section: id, child: undefined });
    } else if ((parts[1] === "-" || parts[1] === id) && !(owned && child.case === "server")) {
      yield* childNames(kind, id, child, childrenOf(section, kind, child));
    }
  }
}

function* childNames(
  kind: SectionKind,
  section: string,
  child: ChildKind,
  lines: readonly { readonly id: string }[],
): Generator<string> {
  for (const { id } of lines) yield writeResourceId({ kind, section, child: { kind: child, id } });
}

function invalid(field: string, description: string): DomainError {
  return new DomainError("FIELD_INVALID", `${field}: ${description}`, {
    violations: [{ field, description }],
  });
}
