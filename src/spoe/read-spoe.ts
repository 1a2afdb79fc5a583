import { create } from "@bufbuild/protobuf";
import { type SpoeResource, SpoeResourceSchema } from "../../gen/haplane/v1/spoe_pb.js";
import type { Extent } from "../config/apply-changes.ts";
import type { Etags } from "../config/etag.ts";
import { spoeLanguage } from "../config/languages.ts";
import { type Located, locate, namedSections, notFound, readResourceId } from "../config/locate.ts";
import { printableName } from "../config/name.ts";
import { readResource } from "../config/read-resource.ts";
import { resourceAt } from "../config/resource-at.ts";
import { DomainError } from "../lib/errors.ts";
import type { Section } from "../text/section.ts";
import { type Scope, type SpoeFile, scopesOf, UNNAMED } from "./spoe-file.ts";
import { readSpoeName, scopeName } from "./spoe-name.ts";

/** A resource of a file. Throws `RESOURCE_NOT_FOUND`; `FIELD_INVALID` for `field` when the name has none of the forms. */
export function getSpoe(file: SpoeFile, name: string, field: string, etags: Etags): SpoeResource {
  const { scope: id, inner } = readSpoeName(name, field);
  const scope = requireScope(file, id);
  if (inner === "") return scopeResource(file, scope, etags);
  const own = readResourceId(inner, field, spoeLanguage());
  const located = locate(scope.document, own);
  if (located === undefined) {
    const { message, resource } = notFound(own);
    throw new DomainError("RESOURCE_NOT_FOUND", `${scopeName(file.name, id)}: ${message}`, {
      resource: { type: resource!.type, name: `${scopeName(file.name, id)}/${resource!.name}` },
    });
  }
  return innerResource(file, scope, located, etags);
}

/** The scopes of a file, in order. */
export function listScopes(file: SpoeFile, etags: Etags): SpoeResource[] {
  return scopesOf(file).map((scope) => scopeResource(file, scope, etags));
}

/** What is in a scope, in order: all, or one collection. Throws `RESOURCE_NOT_FOUND`, `FIELD_INVALID`. */
export function listInScope(file: SpoeFile, id: string, collection: string, etags: Etags): SpoeResource[] {
  const kind = collection === "" ? undefined : spoeLanguage().kindOfCollection(collection);
  if (collection !== "" && kind === undefined) {
    const description = `must end with agents, groups or messages; found "${printableName(collection)}"`;
    throw new DomainError("FIELD_INVALID", `parent: ${description}`, {
      violations: [{ field: "parent", description }],
    });
  }
  const scope = requireScope(file, id);
  return [...namedSections(scope.document, kind)].map(({ kind: own, id: section, section: found }) => {
    const located = locate(scope.document, { kind: own, section, child: undefined })!;
    // Of several with a name, each is shown as it is.
    return innerResource(file, scope, { ...located, section: found }, etags);
  });
}

/** What a resource is: equal as long as nothing of it changes; empty when there is none. */
export function fingerprintSpoe(file: SpoeFile, name: string, extent: Extent, etags: Etags): string {
  const { scope: id, inner } = readSpoeName(name, "name");
  if (inner === "") return fingerprintScope(file, id, extent, etags);
  const scope = file.scopes.find((one) => one.id === id);
  const located = scope && locate(scope.document, readResourceId(inner, "name", spoeLanguage()));
  return located === undefined ? "" : etags.of(located);
}

/** The same of a scope: of its own line and the comments above it, or of all that is in it. */
export function fingerprintScope(file: SpoeFile, id: string, extent: Extent, etags: Etags): string {
  const scope = file.scopes.find((one) => one.id === id);
  if (scope === undefined) return "";
  if (extent === "own") return etags.ofWhole(preambleOf(scope));
  return [...scope.document.sections()].map((section) => etags.ofWhole(section)).join(" ");
}

function scopeResource(file: SpoeFile, scope: Scope, etags: Etags): SpoeResource {
  return create(SpoeResourceSchema, {
    name: scopeName(file.name, scope.id),
    etag: etags.ofWhole(preambleOf(scope)),
    ambiguity: ambiguityOf(file, scope),
    kind: { case: "scope", value: { engine: scope.id === UNNAMED ? "" : scope.id } },
  });
}

function innerResource(file: SpoeFile, scope: Scope, located: Located, etags: Etags): SpoeResource {
  const resource = readResource(SpoeResourceSchema, etags, located, false);
  resource.name = `${scopeName(file.name, scope.id)}/${located.name}`;
  if (resource.ambiguity === "") resource.ambiguity = ambiguityOf(file, scope);
  return resource;
}

function ambiguityOf({ scopes }: SpoeFile, { id, document }: Scope): string {
  const count = scopes.filter((scope) => scope.id === id).length;
  if (count > 1) return `${count} scopes have the name`;
  return document.armsIn(0).errors.length > 0
    ? "a conditional block does not begin and end in the scope"
    : "";
}

function requireScope(file: SpoeFile, id: string): Scope {
  const scope = file.scopes.find((one) => one.id === id);
  if (scope !== undefined) return scope;
  const name = scopeName(file.name, id);
  throw new DomainError("RESOURCE_NOT_FOUND", `there is no ${name}`, { resource: { type: "scope", name } });
}

/** The lines of a scope before its first section, its own among them. */
function preambleOf({ document }: Scope): Section {
  for (const section of document.sections()) return section;
  throw new Error("a document always has its lines before the first section");
}

/** Name of the resource that a line of the file belongs to, counted from 1; undefined for one that belongs to none. */
export function spoeResourceAt(file: SpoeFile, line: number): string | undefined {
  let first = 1;
  for (const { id, document } of file.scopes) {
    const count = document.lineCount(0);
    if (line < first + count) {
      const inner = resourceAt(document, { part: 0, line: line - first + 1 });
      return inner === undefined ? undefined : `${scopeName(file.name, id)}/${inner}`;
    }
    first += count;
  }
  return undefined;
}
