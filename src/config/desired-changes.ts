import { create } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import {
  CreateChangeSchema,
  DeleteChangeSchema,
  type Resource,
  ResourceSchema,
  UpdateChangeSchema,
} from "../../gen/haplane/v1/configuration_pb.js";
import { type Fields, slotOf } from "../grammar/slot.ts";
import type { Steps } from "../lib/steps.ts";
import type { Document } from "../text/document.ts";
import { type ChildValues, childValues, isAsDesired } from "./as-desired.ts";
import type { PlacedChange } from "./change-target.ts";
import { childrenOf, idOfChild } from "./children.ts";
import { invalid } from "./invalid.ts";
import type { ChildKind, SectionKind } from "./kinds.ts";
import { languageOf } from "./languages.ts";
import { locate, namedSections, type ResourceId, readResourceId, writeResourceId } from "./locate.ts";
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
 * The changes that make a document be as desired: an update of everything that is not, and a removal of everything else in the collections that are to be pruned. What service discovery
 * owns is neither removed nor are its servers set. Throws `FIELD_INVALID`.
 */
export function* desiredChanges(
  document: Document,
  { resources, prune }: Desired,
  owns: Owns,
): Steps<PlacedChange[]> {
  const names = new Set<string>();
  const comparison = new Comparison(document);
  const changes: PlacedChange[] = [];
  for (const [index, resource] of resources.entries()) {
    yield;
    const path = `desired[${index}]`;
    const id = readResourceId(resource.name, `${path}.name`);
    const name = writeResourceId(id);
    if (names.has(name)) throw invalid(`${path}.name`, `${printableName(name)} is desired twice`);
    names.add(name);
    if (id.child !== undefined) {
      if (resource.etag === "" && comparison.isAsDesired(id, resource)) continue;
      changes.push(update(resource, path));
      continue;
    }
    const own = owns(id.section)
      ? without(resource, id.kind, ({ case: child }) => child === "server")
      : resource;
    if (prune.length > 0) for (const child of childNames(own, id)) names.add(child);
    changes.push(...comparison.ofSection(own, id, path));
  }
  const gone = new Set(
    prune.flatMap((collection, index) => [...prunedNames(document, collection, `prune[${index}]`, owns)]),
  );
  // What is in a section that goes, goes with it.
  const goesAlong = (name: string) => {
    const section = name.split("/").slice(0, 2).join("/");
    return section !== name && gone.has(section) && !names.has(section);
  };
  const removals = [...gone].filter((name) => !names.has(name) && !goesAlong(name)).map(removal);
  return [...removals, ...changes];
}

/** Finds what differs from a document. */
class Comparison {
  readonly #document: Document;
  readonly #values = new Map<string, ChildValues | undefined>();

  constructor(document: Document) {
    this.#document = document;
  }

  /** Whether a server or bind is as desired. */
  isAsDesired(id: ResourceId, resource: Resource): boolean {
    const { child } = id;
    if (child === undefined || resource.kind.case !== child.kind.case) return false;
    const known = this.#childValues(id, child.kind);
    const current = known?.values[known.placeOf(child.id) ?? -1];
    const { codec } = child.kind.directive;
    return (
      current !== undefined && isAsDesired(codec!.desc, current, resource.kind.value as unknown as Fields)
    );
  }

  /**
   * The changes that make a section be as desired. Its servers and binds, where it has some, are changed one by one where their order allows it: the cost then follows the differences.
   */
  ofSection(resource: Resource, id: ResourceId, path: string): PlacedChange[] {
    const { kind } = id;
    const split = kind.children.flatMap((child) => {
      const elements = elementsOf(resource, kind, child);
      const values = elements.length === 0 ? undefined : this.#childValues(id, child);
      const changes =
        values && childChanges(values, elements, { ...id, child: { kind: child, id: "" } }, path);
      return changes === undefined ? [] : [{ child, changes }];
    });
    const own = without(resource, kind, (child) => split.some((done) => done.child === child));
    return [update(own, path), ...split.flatMap(({ changes }) => changes)];
  }

  #childValues({ kind, section }: ResourceId, child: ChildKind): ChildValues | undefined {
    const key = `${kind.collection}/${section}/${child.collection}`;
    if (!this.#values.has(key)) {
      const located = locate(this.#document, { kind, section, child: undefined });
      const isUnclear = located === undefined || located.ambiguity !== undefined;
      this.#values.set(key, isUnclear ? undefined : childValues(located.section, kind, child));
    }
    return this.#values.get(key);
  }
}

/** The changes of a section's children, one by one; undefined when some have to change places. */
function childChanges(
  values: ChildValues,
  elements: readonly Fields[],
  id: ResourceId & { readonly child: { readonly kind: ChildKind } },
  path: string,
): PlacedChange[] | undefined {
  const { kind: child } = id.child;
  const { desc } = child.directive.codec!;
  const { ids } = values;
  const added = new Set<string>();
  const changes: PlacedChange[] = [];
  const removals: PlacedChange[] = [];
  const nameOf = (own: string) => writeResourceId({ ...id, child: { kind: child, id: own } });
  const remove = (from: number, to: number) => {
    for (let place = from; place < to; place++) removals.push(removal(nameOf(ids[place]!)));
  };
  /** The place behind the last one that stays. */
  let next = 0;
  let previous = "";
  for (const [index, element] of elements.entries()) {
    const own = idOfChild(child, element);
    const place = own === ids[next] ? next : values.placeOf(own);
    if (place !== undefined) {
      if (place < next) return undefined;
      remove(next, place);
      next = place + 1;
    } else {
      // A first one that is new would have to go in front of the others.
      if (own === "" || added.has(own) || (previous === "" && ids.length > 0)) return undefined;
      added.add(own);
    }
    const current = place === undefined ? undefined : values.values[place];
    if (current === undefined || !isAsDesired(desc, current, element)) {
      const at = `${path}.${id.kind.field}.${child.directive.syntax.field.name}[${index}]`;
      const resource = create(ResourceSchema, { name: nameOf(own) });
      resource.kind = { case: child.case, value: element } as Resource["kind"];
      changes.push({
        ...(place === undefined
          ? creation(resource, previous === "" ? "" : nameOf(previous), path)
          : update(resource, path)),
        ...{ resource: at, value: at },
      });
    }
    previous = own;
  }
  remove(next, ids.length);
  return [...changes, ...removals];
}

function update(resource: Resource, path: string): PlacedChange {
  const updateMask = create(FieldMaskSchema, { paths: ["*"] });
  const value = create(UpdateChangeSchema, { resource, updateMask, allowMissing: true });
  return { path, resource: path, change: { case: "update", value } };
}

function creation(resource: Resource, after: string, path: string): PlacedChange {
  return {
    path,
    resource: path,
    change: { case: "create", value: create(CreateChangeSchema, { resource, after }) },
  };
}

function removal(name: string): PlacedChange {
  const value = create(DeleteChangeSchema, { name, allowMissing: true });
  return { path: "prune", change: { case: "delete", value } };
}

/** The resource without some of its children; itself when it has none of them. */
function without(resource: Resource, kind: SectionKind, leave: (child: ChildKind) => boolean): Resource {
  const gone = kind.children.filter((child) => leave(child) && elementsOf(resource, kind, child).length > 0);
  if (gone.length === 0) return resource;
  const message = { ...(resource.kind.value as unknown as Fields) };
  for (const { directive } of gone) slotOf(directive.syntax.field).set(message, []);
  return { ...resource, kind: { case: kind.case, value: message } } as Resource;
}

function elementsOf(resource: Resource, kind: SectionKind, { directive }: ChildKind): readonly Fields[] {
  if (resource.kind.case !== kind.case) return [];
  return slotOf(directive.syntax.field).get(resource.kind.value as unknown as Fields) as Fields[];
}

/** Names of the servers and binds that a section's message has. */
function* childNames(resource: Resource, { kind, section }: ResourceId): Generator<string> {
  for (const child of kind.children)
    for (const element of elementsOf(resource, kind, child))
      yield writeResourceId({ kind, section, child: { kind: child, id: idOfChild(child, element) } });
}

/** The names in a collection that may be pruned. */
function* prunedNames(document: Document, collection: string, field: string, owns: Owns): Generator<string> {
  const parts = splitName(collection);
  const kind = languageOf(document).kindOfCollection(parts?.[0] ?? "");
  const child = kind?.children.find(({ collection: name }) => name === parts?.[2]);
  const fits = parts?.length === 1 || (parts?.length === 3 && child !== undefined);
  if (parts === undefined || kind === undefined || !fits) {
    const found = printableName(collection);
    throw invalid(field, `must be a collection, such as backends or backends/web/servers; found "${found}"`);
  }
  for (const { id, section } of namedSections(document, kind)) {
    const owned = kind.children.some(({ case: name }) => name === "server") && owns(id);
    if (child === undefined) {
      if (!owned) yield writeResourceId({ kind, section: id, child: undefined });
    } else if ((parts[1] === "-" || parts[1] === id) && !(owned && child.case === "server")) {
      for (const line of childrenOf(section, kind, child))
        yield writeResourceId({ kind, section: id, child: { kind: child, id: line.id } });
    }
  }
}
