import { create } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import { DeleteChangeSchema } from "../../gen/haplane/v1/configuration_pb.js";
import {
  type SpoeChange,
  SpoeCreateChangeSchema,
  type SpoeResource,
  SpoeUpdateChangeSchema,
} from "../../gen/haplane/v1/spoe_pb.js";
import type { PlacedChange } from "../config/change-target.ts";
import { invalid } from "../config/invalid.ts";
import { spoeLanguage } from "../config/languages.ts";
import { namedSections, writeResourceId } from "../config/locate.ts";
import { printableName } from "../config/name.ts";
import { type SpoeFile, scopesOf } from "./spoe-file.ts";
import { readSpoeName, readSpoeParent, type SpoeName, scopeName } from "./spoe-name.ts";

/** A change, and where it stands in its request. */
export type PlacedSpoeChange = Omit<PlacedChange, "change"> & { readonly change: SpoeChange["operation"] };

/** A file as it is to be. */
export interface DesiredSpoe {
  readonly desired: readonly SpoeResource[];
  /** Collections in which nothing else is to be. */
  readonly prune: readonly string[];
}

/** The changes that make a file be as desired: removals first, then scopes that are not there, then what is in scopes. Throws `FIELD_INVALID`. */
export function desiredSpoe(file: SpoeFile, { desired, prune }: DesiredSpoe): PlacedSpoeChange[] {
  const there = new Set(file.scopes.map(({ id }) => id));
  const wanted = new Set<string>();
  const scopes: PlacedSpoeChange[] = [];
  const inner: PlacedSpoeChange[] = [];
  for (const [index, resource] of desired.entries()) {
    const path = `desired[${index}]`;
    const name = readSpoeName(resource.name, `${path}.name`);
    const full = nameOf(name);
    if (wanted.has(full)) throw invalid(`${path}.name`, `${printableName(full)} is desired twice`);
    wanted.add(full);
    if (name.inner !== "") inner.push(update(resource, path));
    else if (resource.kind.case !== "scope" || !there.has(name.scope) || name.file !== file.name)
      scopes.push(creation(resource, path));
  }
  const kept = new Set(
    [...wanted].flatMap((name) => {
      const { file: of, scope } = readSpoeName(name, "name");
      return [name, scopeName(of, scope)];
    }),
  );
  const gone = new Set(
    prune.flatMap((collection, index) => [...namesIn(file, collection, `prune[${index}]`)]),
  );
  const removals = [...gone].filter((name) => !kept.has(name)).map(removal);
  return [...removals, ...scopes, ...inner];
}

function nameOf({ file, scope, inner }: SpoeName): string {
  return inner === "" ? scopeName(file, scope) : `${scopeName(file, scope)}/${inner}`;
}

/** The names in a collection. */
function* namesIn(file: SpoeFile, collection: string, field: string): Generator<string> {
  const { file: of, scope: wanted, collection: kindName } = readSpoeParent(collection, field);
  const kind = spoeLanguage().kindOfCollection(kindName);
  if (of !== file.name) throw invalid(field, `must be in the file ${file.name}`);
  if (wanted !== "" && kind === undefined)
    throw invalid(field, "must be spoe/{file}/scopes, or agents, groups or messages of a scope");
  for (const { id, document } of scopesOf(file)) {
    const name = scopeName(file.name, id);
    if (wanted === "") yield name;
    else if (wanted === "-" || wanted === id)
      for (const { kind: own, id: section } of namedSections(document, kind))
        yield `${name}/${writeResourceId({ kind: own, section, child: undefined })}`;
  }
}

function update(resource: SpoeResource, path: string): PlacedSpoeChange {
  const updateMask = create(FieldMaskSchema, { paths: ["*"] });
  const value = create(SpoeUpdateChangeSchema, { resource, updateMask, allowMissing: true });
  return { path, resource: path, change: { case: "update", value } };
}

function creation(resource: SpoeResource, path: string): PlacedSpoeChange {
  return {
    path,
    resource: path,
    change: { case: "create", value: create(SpoeCreateChangeSchema, { resource }) },
  };
}

function removal(name: string): PlacedSpoeChange {
  const value = create(DeleteChangeSchema, { name, allowMissing: true });
  return { path: "prune", change: { case: "delete", value } };
}
