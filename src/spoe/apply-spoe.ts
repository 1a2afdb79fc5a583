import type { SpoeChange } from "../../gen/haplane/v1/spoe_pb.js";
import { applyChanges, type Done, type Extent } from "../config/apply-changes.ts";
import type { PlacedChange } from "../config/change-target.ts";
import { invalid } from "../config/invalid.ts";
import type { AnyResource } from "../config/kinds.ts";
import { joinPath, matchEtag, type WriteContext } from "../config/write-context.ts";
import { DomainError } from "../lib/errors.ts";
import type { Document } from "../text/document.ts";
import { type DesiredSpoe, desiredSpoe, type PlacedSpoeChange } from "./desired-spoe.ts";
import { fingerprintScope } from "./read-spoe.ts";
import { agentsOf, SPOE_NAME, scopeProblems } from "./scope-problems.ts";
import { addScope, removeScope, replaceScope, type Scope, type SpoeFile, UNNAMED } from "./spoe-file.ts";
import { readSpoeName, type SpoeName, scopeName } from "./spoe-name.ts";

/** What is to be written to a file. */
export interface SpoeInput extends DesiredSpoe {
  readonly changes: readonly SpoeChange[];
  /** The request is one change by itself, whose fields are the request's own. */
  readonly single: boolean;
}

/** What changes led to. */
export interface SpoeChanged {
  /** The file itself when nothing differs. */
  readonly document: SpoeFile;
  /** What was done, scope by scope. */
  readonly done: readonly Done[];
  /** The resources that the changes name, and how much of each matters to them. */
  readonly touched: ReadonlyMap<string, Extent>;
}

type Operation = SpoeChange["operation"];

/**
 * Makes changes of a file, all or none. Scopes come and go in the order of the changes; what is changed in a scope is changed together, and the references in it are looked at when all is done.
 * Throws what `applyChanges` does, with names of the whole file.
 */
export function applySpoe(file: SpoeFile, input: SpoeInput, context: WriteContext): SpoeChanged {
  const run = new Run(file, context);
  for (const placed of placedChanges(file, input)) run.make(placed);
  return run.finish();
}

function placedChanges(
  file: SpoeFile,
  { changes, desired, prune, single }: SpoeInput,
): readonly PlacedSpoeChange[] {
  if (desired.length === 0 && prune.length === 0)
    return changes.map(({ operation }, index) => ({
      change: operation,
      path: single ? "" : `changes[${index}].${operation.case ?? "operation"}`,
    }));
  if (changes.length > 0) throw invalid("changes", "must be empty when desired or prune is set");
  return desiredSpoe(file, { desired, prune });
}

/** Changes under way. */
class Run {
  readonly #before: SpoeFile;
  readonly #context: WriteContext;
  #file: SpoeFile;
  /** What is to be changed in scopes, by their ids. */
  readonly #pending = new Map<string, PlacedChange[]>();
  readonly #done: Done[] = [];
  readonly #touched = new Map<string, Extent>();

  constructor(before: SpoeFile, context: WriteContext) {
    this.#before = before;
    this.#file = before;
    this.#context = context;
  }

  make(placed: PlacedSpoeChange): void {
    const { change: operation, path, resource = joinPath(path, "resource") } = placed;
    const name = this.#target(operation, path, resource);
    if (name.inner !== "") this.#defer(placed, name);
    else if (operation.case === "create") this.#createScope(operation.value, name, path, resource);
    else if (operation.case === "delete") this.#deleteScope(operation.value, name);
    else throw invalid(resource, "a scope has no fields to change: change what is in it");
  }

  finish(): SpoeChanged {
    for (const id of [...this.#pending.keys()]) this.#flush(id);
    return { document: this.#file, done: this.#done, touched: this.#touched };
  }

  #target(operation: Operation, path: string, resource: string): SpoeName {
    if (operation.case === undefined)
      throw invalid(joinPath(path, "operation"), "must be one of create, update, delete");
    const field = operation.case === "delete" ? joinPath(path, "name") : joinPath(resource, "name");
    const text = operation.case === "delete" ? operation.value.name : (operation.value.resource?.name ?? "");
    const name = readSpoeName(text, field);
    if (name.file !== this.#file.name) throw invalid(field, `must be in the file ${this.#file.name}`);
    return name;
  }

  #createScope(
    { resource, after }: { readonly resource?: AnyResource | undefined; readonly after: string },
    { scope }: SpoeName,
    path: string,
    at: string,
  ): void {
    if (resource?.kind.case !== "scope")
      throw invalid(joinPath(at, "kind"), "must be scope, as the name says");
    const field = joinPath(at, "name");
    if (scope !== UNNAMED && !SPOE_NAME.test(scope))
      throw invalid(field, "HAProxy knows scopes by letters, digits and - _ . :");
    if (this.#find(scope) !== undefined) throw exists("scope", this.#nameOf(scope));
    const other = after === "" ? undefined : readSpoeName(after, joinPath(path, "after"));
    const above = other === undefined ? this.#file.scopes.at(-1) : this.#find(other.scope);
    if (
      above === undefined ||
      (other !== undefined && (other.inner !== "" || other.file !== this.#file.name))
    )
      throw invalid(joinPath(path, "after"), "must be a scope of the same file");
    this.#file = addScope(this.#file, scope, above);
    this.#record("created", scope);
  }

  #deleteScope(
    change: { readonly etag: string; readonly allowMissing: boolean },
    { scope: id }: SpoeName,
  ): void {
    this.#flush(id);
    const name = this.#nameOf(id);
    const scope = this.#find(id);
    this.#touched.set(name, "whole");
    if (scope === undefined) {
      if (change.allowMissing) return;
      throw notFound(name);
    }
    if (this.#context.etagsCount)
      matchEtag(change.etag, fingerprintScope(this.#before, id, "own", this.#context.etags), name);
    this.#file = removeScope(this.#file, scope);
    this.#record("deleted", id);
  }

  #record(type: Done["type"], scope: string): void {
    const name = this.#nameOf(scope);
    this.#done.push({ type, name });
    if (!this.#touched.has(name)) this.#touched.set(name, "own");
  }

  /** Keeps a change for the time when all that belongs to its scope is known. */
  #defer(placed: PlacedSpoeChange, { scope, inner }: SpoeName): void {
    const changes = this.#pending.get(scope) ?? [];
    changes.push({ ...placed, change: relative(placed.change, this.#nameOf(scope), inner) });
    this.#pending.set(scope, changes);
  }

  #flush(id: string): void {
    const changes = this.#pending.get(id);
    this.#pending.delete(id);
    if (changes === undefined) return;
    const prefix = this.#nameOf(id);
    const scope = this.#find(id);
    if (scope === undefined) {
      if (changes.every(({ change }) => change.case === "delete" && change.value.allowMissing)) return;
      throw notFound(prefix);
    }
    refuseBlocks(scope, prefix);
    try {
      const { document, done, touched } = applyChanges(scope.document, changes, [], this.#context);
      checkScope(document);
      for (const { type, name } of done) this.#done.push({ type, name: `${prefix}/${name}` });
      for (const [name, extent] of touched) this.#touched.set(`${prefix}/${name}`, extent);
      if (document !== scope.document) this.#file = replaceScope(this.#file, scope, document);
    } catch (error) {
      throw error instanceof DomainError ? inScope(error, prefix) : error;
    }
  }

  /** Throws `RESOURCE_AMBIGUOUS` when two scopes have the name. */
  #find(id: string): Scope | undefined {
    const found = this.#file.scopes.filter((scope) => scope.id === id);
    if (found.length > 1) throw ambiguous(this.#nameOf(id), `${found.length} scopes have the name`);
    return found[0];
  }

  #nameOf(scope: string): string {
    return scopeName(this.#file.name, scope);
  }
}

/** A change as the document of its scope knows it. */
function relative(operation: Operation, scope: string, inner: string): Operation {
  if (operation.case === "delete") return { case: "delete", value: { ...operation.value, name: inner } };
  if (operation.case === undefined || operation.value.resource === undefined) return operation;
  const resource = { ...operation.value.resource, name: inner };
  if (operation.case === "update") return { case: "update", value: { ...operation.value, resource } };
  const { after } = operation.value;
  const own = after.startsWith(`${scope}/`) ? after.slice(scope.length + 1) : after;
  return { case: "create", value: { ...operation.value, resource, after: own } };
}

/** Throws `RESOURCE_EXISTS` for a second agent, `FIELD_INVALID` for whatever else HAProxy would refuse. */
function checkScope(document: Document): void {
  const [agent, second] = agentsOf(document);
  if (agent !== undefined && second !== undefined) throw exists("agent", `agents/${agent.name}`);
  const violations = scopeProblems(document).map(({ section, description }) => ({
    field: `${section.keyword.slice("spoe-".length)}s/${section.name}`,
    description,
  }));
  const [first] = violations;
  if (first !== undefined)
    throw new DomainError("FIELD_INVALID", `${first.field}: ${first.description}`, { violations });
}

function refuseBlocks({ document }: Scope, name: string): void {
  if (document.armsIn(0).errors.length > 0)
    throw ambiguous(name, "a conditional block does not begin and end in the scope");
}

/** The error with the names of the whole file. */
function inScope(error: DomainError, scope: string): DomainError {
  const { violations, resource } = error;
  const named = (field: string) => (/^(agents|groups|messages)\//.test(field) ? `${scope}/${field}` : field);
  return error.with({
    message: `${scope}: ${error.message}`,
    violations: violations.map(({ field, description }) => ({ field: named(field), description })),
    ...(resource && { resource: { ...resource, name: named(resource.name) } }),
  });
}

function exists(type: string, name: string): DomainError {
  return new DomainError("RESOURCE_EXISTS", `${name} is there already`, { resource: { type, name } });
}

function notFound(name: string): DomainError {
  return new DomainError("RESOURCE_NOT_FOUND", `there is no ${name}`, { resource: { type: "scope", name } });
}

function ambiguous(name: string, why: string): DomainError {
  return new DomainError(
    "RESOURCE_AMBIGUOUS",
    `${name} cannot be written by name: ${why}; upload the file instead`,
    {
      resource: { type: "scope", name },
      metadata: { why },
    },
  );
}
