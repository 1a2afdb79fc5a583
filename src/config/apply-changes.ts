import type { DeleteChange, Guard, ListChange, UpdateChange } from "../../gen/haplane/v1/configuration_pb.js";
import type { SpoeUpdateChange } from "../../gen/haplane/v1/spoe_pb.js";
import type { Fields } from "../grammar/slot.ts";
import { DomainError } from "../lib/errors.ts";
import { runSteps, type Steps } from "../lib/steps.ts";
import type { Document } from "../text/document.ts";
import type { Section } from "../text/section.ts";
import { type PlacedChange, type Target, targetOf } from "./change-target.ts";
import { checkGuards } from "./check-guards.ts";
import { idOfBind } from "./children.ts";
import { SectionLists } from "./edit-list.ts";
import { invalid } from "./invalid.ts";
import type { AnyResource, Language } from "./kinds.ts";
import { languageOf } from "./languages.ts";
import {
  type Located,
  locate,
  locateForWrite,
  notFound,
  type ResourceId,
  readResourceId,
  refuseAmbiguous,
  writeResourceId,
} from "./locate.ts";
import { printableName } from "./name.ts";
import { type Removed, referenceSteps, removalSteps, type Written } from "./references.ts";
import { createChild, removeChild, updateChild } from "./write-child.ts";
import { joinPath, matchEtag, type WriteContext } from "./write-context.ts";
import {
  createSection,
  removeSection,
  takesChildren,
  updateSection,
  type WritePaths,
} from "./write-section.ts";

/** What a change did. */
export interface Done {
  readonly type: "created" | "updated" | "deleted";
  /** The resource's name afterwards (before, when it was deleted). */
  readonly name: string;
}

/** What a change did, with what is known when all are made. */
export interface Made extends Done {
  /** The resource's etag; empty when it is not there any more. */
  readonly etag: string;
}

/** How much of a resource matters: its own lines, or for a section all that is in it. */
export type Extent = "own" | "whole";

/** What changes led to. */
export interface Changed {
  /** The document itself when nothing differs. */
  readonly document: Document;
  /** What was done, in the order of the changes. Changes that changed nothing are not in it. */
  readonly done: readonly Made[];
  /** The resources that the changes name, whether something differed or not, and how much of each matters to them. */
  readonly touched: ReadonlyMap<string, Extent>;
}

/**
 * Makes changes one after another, all or none. Etags and guards are compared with the document as it is given; references are looked at when all changes are made. Throws the
 * `DomainError` of the first change that cannot be made, with the field's path.
 */
export function applyChanges(
  before: Document,
  changes: readonly PlacedChange[],
  guards: readonly Guard[],
  context: WriteContext,
): Changed {
  return runSteps(changeSteps(before, changes, guards, context));
}

/** `applyChanges` in steps. */
export function* changeSteps(
  before: Document,
  changes: readonly PlacedChange[],
  guards: readonly Guard[],
  context: WriteContext,
): Steps<Changed> {
  checkGuards(before, guards, context);
  const run = new Run(before, context);
  for (const placed of changes) {
    run.make(placed);
    yield;
  }
  return yield* run.finish();
}

/** Changes under way. */
class Run {
  readonly #before: Document;
  readonly #context: WriteContext;
  readonly #language: Language;
  #document: Document;
  readonly #done: Done[] = [];
  readonly #touched = new Map<string, Extent>();
  readonly #written = new Map<string, Pick<Written, "path" | "children">>();
  readonly #removed = new Map<string, Removed>();
  /** Sections whose lists are being edited, by name, and what was done before the first of them. */
  readonly #lists = new Map<string, SectionLists>();
  #doneBefore = 0;

  constructor(before: Document, context: WriteContext) {
    this.#before = before;
    this.#document = before;
    this.#context = context;
    this.#language = languageOf(before);
  }

  make(placed: PlacedChange): void {
    const { change, path } = placed;
    if (change.case !== "list") this.#writeLists();
    switch (change.case) {
      case "create":
        this.#create(this.#target(change.value.resource, placed), change.value.after, path);
        break;
      case "update":
        this.#update(change.value, placed);
        break;
      case "delete":
        this.#delete(change.value, path);
        break;
      case "list":
        this.#editList(change.value, path);
        break;
      case undefined:
        throw invalid(path === "" ? "operation" : path, "must be one of create, update, delete, list");
    }
  }

  *finish(): Steps<Changed> {
    this.#writeLists();
    const written: Written[] = [];
    const etags = new Map<string, string>();
    for (const [name, what] of this.#written) {
      yield;
      const located = locate(this.#document, this.#read(name, "name"));
      if (located === undefined) continue;
      written.push({ located, ...what });
      etags.set(name, this.#context.etags.of(located));
    }
    yield* referenceSteps(this.#document, written);
    yield* removalSteps(this.#before, this.#document, [...this.#removed.values()]);
    const done = this.#done.map((one) => ({ ...one, etag: etags.get(one.name) ?? "" }));
    return { document: this.#document, done, touched: this.#touched };
  }

  #create({ id, value, resource, path: field }: Target, after: string, path: string): void {
    if (locate(this.#document, id) !== undefined) throw exists(id);
    if (after.length > 0 && after === resource.name)
      throw invalid(joinPath(path, "after"), "must be another resource");
    const neighbour = after === "" ? undefined : this.#neighbour(id, after, joinPath(path, "after"));
    const paths = pathsOf(path, field);
    const document =
      id.child === undefined
        ? createSection(this.#document, id, value, neighbour, this.#context, paths)
        : createChild(
            this.#document,
            this.#parent(id),
            { ...id, child: id.child },
            value,
            neighbour,
            this.#context,
            paths,
          );
    this.#changed(document, "created", id, { path: field, children: true });
  }

  #update(
    { resource: given, updateMask, allowMissing }: UpdateChange | SpoeUpdateChange,
    placed: PlacedChange,
  ): void {
    const { path } = placed;
    const target = this.#target(given, placed);
    const { id, value, resource, path: field } = target;
    if (allowMissing && resource.etag === "" && locate(this.#document, id) === undefined) {
      this.#create(target, "", path);
      return;
    }
    const located = this.#locate(id);
    this.#match(id, resource.etag);
    const paths = pathsOf(path, field);
    const write = id.child === undefined ? updateSection : updateChild;
    const document = write(this.#document, located, value, updateMask, this.#context, paths);
    const name = id.child?.kind.case === "bind" ? renamed(document, located, id) : id;
    if (name !== id) this.#touch(id, "own");
    if (id.child === undefined && takesChildren(id.kind, value, updateMask)) this.#touch(id, "whole");
    this.#changed(document, "updated", name, { path: field, children: id.child === undefined });
  }

  #delete({ name: given, etag, allowMissing }: DeleteChange, path: string): void {
    const id = this.#read(given, joinPath(path, "name"));
    const located = locate(this.#document, id);
    const name = writeResourceId(id);
    if (located === undefined) {
      this.#touch(id, "own");
      if (allowMissing) return;
      throw notFound(id);
    }
    refuseAmbiguous(located);
    this.#touch(id, "whole");
    this.#match(id, etag);
    const document =
      located.child === undefined
        ? removeSection(this.#document, located)
        : removeChild(this.#document, located);
    const { section, kind, child } = located;
    if (child?.kind.case !== "bind")
      this.#removed.set(name, {
        resource: name,
        kind,
        section: this.#before.current(section) ?? section,
        server: child?.id,
      });
    this.#written.delete(name);
    this.#changed(document, "deleted", id, undefined);
  }

  #editList(change: ListChange, path: string): void {
    const id = this.#read(change.name, joinPath(path, "name"));
    if (id.child !== undefined) throw invalid(joinPath(path, "name"), "must be the name of a section");
    if (change.etag === "")
      throw invalid(joinPath(path, "etag"), "must be set: without it positions mean nothing");
    this.#match(id, change.etag);
    const name = writeResourceId(id);
    let lists = this.#lists.get(name);
    if (lists === undefined) {
      if (this.#lists.size === 0) this.#doneBefore = this.#done.length;
      const { section, kind } = this.#locate(id);
      lists = new SectionLists(section, kind, this.#context);
      this.#lists.set(name, lists);
    }
    lists.edit(change, path);
    this.#touch(id, "own");
    this.#done.push({ type: "updated", name });
  }

  /** Makes the document have the lists that were edited. What came to be as it was before was not changed. */
  #writeLists(): void {
    const same = new Set<string>();
    for (const [name, lists] of this.#lists) {
      const document = lists.write(this.#document);
      if (document === this.#document) same.add(name);
      else {
        const children = this.#written.get(name)?.children ?? false;
        this.#written.set(name, { path: lists.path, children });
      }
      this.#document = document;
    }
    this.#lists.clear();
    if (same.size === 0) return;
    const done = this.#done.splice(this.#doneBefore);
    for (const one of done) if (!same.has(one.name)) this.#done.push(one);
  }

  #changed(
    document: Document,
    type: Done["type"],
    id: ResourceId,
    written: Pick<Written, "path" | "children"> | undefined,
  ): void {
    this.#touch(id, "own");
    const name = writeResourceId(id);
    if (document === this.#document) return;
    this.#document = document;
    this.#done.push({ type, name });
    if (written !== undefined) this.#written.set(name, written);
  }

  #touch(id: ResourceId, extent: Extent): void {
    const name = writeResourceId(id);
    if (extent === "whole" || !this.#touched.has(name)) this.#touched.set(name, extent);
  }

  #read(name: string, field: string): ResourceId {
    return readResourceId(name, field, this.#language);
  }

  #target(resource: AnyResource | undefined, placed: PlacedChange): Target {
    return targetOf(resource, placed, this.#language);
  }

  #locate(id: ResourceId): Located {
    return locateForWrite(this.#document, id);
  }

  /** Etags are those of the document that the changes were asked for on, not of what the changes before this one made of it. */
  #match(id: ResourceId, etag: string): void {
    if (etag === "" || !this.#context.etagsCount) return;
    const located = locate(this.#before, id);
    matchEtag(etag, located === undefined ? "" : this.#context.etags.of(located), writeResourceId(id));
  }

  #parent(id: ResourceId): Section {
    return this.#locate({ ...id, child: undefined }).section;
  }

  #neighbour(id: ResourceId, after: string, field: string): Located {
    const other = this.#read(after, field);
    const fits =
      id.child === undefined
        ? other.child === undefined
        : other.child?.kind === id.child.kind && other.kind === id.kind && other.section === id.section;
    if (!fits)
      throw invalid(
        field,
        id.child === undefined ? "must be a section" : "must be of the same kind, in the same section",
      );
    const located = locate(this.#document, other);
    if (located === undefined) throw invalid(field, `there is no ${printableName(after)}`);
    if (located.child !== undefined) refuseAmbiguous(located);
    return located;
  }
}

/** The name of a bind after an update, which may have changed what it is named after. */
function renamed(document: Document, { section, index, child }: Located, id: ResourceId): ResourceId {
  const current = document.current(section);
  const typed = current?.lines.at(index);
  if (typed === undefined || child === undefined) return id;
  const reading = id.kind.codec.read(typed.words, id.kind.keyword);
  if (reading.kind !== "typed") return id;
  const own = idOfBind(reading.value as Fields);
  return own === child.id ? id : { ...id, child: { ...child, id: own } };
}

function pathsOf(path: string, value: string): WritePaths {
  return { value, mask: joinPath(path, "update_mask"), after: joinPath(path, "after") };
}

function exists(id: ResourceId): DomainError {
  const name = writeResourceId(id);
  return new DomainError("RESOURCE_EXISTS", `${name} is there already`, {
    resource: { type: id.child?.kind.case ?? id.kind.field, name },
  });
}
