import type { DescField } from "@bufbuild/protobuf";
import type { ListChange, Resource } from "../../gen/haplane/v1/configuration_pb.js";
import { checkLineValue, refuseViolations } from "../grammar/check.ts";
import type { Directive } from "../grammar/directive.ts";
import { editSection } from "../grammar/edit-section.ts";
import { printLine } from "../grammar/line-text.ts";
import { sectionMessage } from "../grammar/section-message.ts";
import { type Fields, slotOf } from "../grammar/slot.ts";
import type { Document } from "../text/document.ts";
import type { Section } from "../text/section.ts";
import { invalid } from "./invalid.ts";
import type { SectionKind } from "./kinds.ts";
import { isSet } from "./mask.ts";
import { printableName } from "./name.ts";
import { atPath, joinPath, type WriteContext } from "./write-context.ts";

/** The lists of a section while changes edit them. They are read once and written once, so that what many changes cost follows their number and not its square. */
export class SectionLists {
  readonly #section: Section;
  readonly #kind: SectionKind;
  readonly #version: WriteContext["version"];
  readonly #message: Fields;
  readonly #edited = new Map<DescField, unknown[]>();
  #lastPath = "";

  constructor(section: Section, kind: SectionKind, { version }: WriteContext) {
    this.#section = section;
    this.#kind = kind;
    this.#version = version;
    this.#message = sectionMessage(kind.codec, section, { children: false, secrets: true });
  }

  /** Inserts, moves or removes elements. Throws `FIELD_INVALID` for a field that is no list, for positions outside of it, and for elements that cannot be written. */
  edit(change: ListChange, path: string): void {
    const kind = this.#kind;
    const directive = kind.codec.directives.find(({ syntax }) => syntax.field.name === change.field);
    if (directive === undefined || !directive.repeated || directive.syntax.child)
      throw invalid(joinPath(path, "field"), `a ${kind.keyword} has no list ${printableName(change.field)}`);
    const { field } = directive.syntax;
    const elements = this.#edited.get(field) ?? [...(slotOf(field).get(this.#message) as unknown[])];
    this.#splice(elements, directive, change, path);
    this.#edited.set(field, elements);
    this.#lastPath = path;
  }

  /** Path of the section's value in the last change. */
  get path(): string {
    return joinPath(this.#lastPath, this.#kind.field);
  }

  /** The document with the lists as they are now; itself when that is what it says already. */
  write(document: Document): Document {
    const message = { ...this.#message };
    for (const [field, elements] of this.#edited) slotOf(field).set(message, elements);
    return atPath(
      this.path,
      () =>
        editSection(document, document.current(this.#section)!, this.#kind.codec, message, {
          fields: new Set(this.#edited.keys()),
          ...(this.#version !== undefined && { version: this.#version }),
        }).document,
    );
  }

  #splice(elements: unknown[], directive: Directive, { edit }: ListChange, path: string): void {
    switch (edit.case) {
      case "insert": {
        const at = joinPath(path, "insert.elements");
        const given = this.#elementsOf(edit.value.elements, directive, at);
        elements.splice(edit.value.index, 0, ...given);
        return;
      }
      case "move": {
        const { from, to } = edit.value;
        within(from, elements, joinPath(path, "move.from"));
        within(to, elements, joinPath(path, "move.to"));
        elements.splice(to, 0, ...elements.splice(from, 1));
        return;
      }
      case "remove": {
        const { index, count } = edit.value;
        within(index, elements, joinPath(path, "remove.index"));
        within(index + Math.max(count, 1) - 1, elements, joinPath(path, "remove.count"));
        elements.splice(index, Math.max(count, 1));
        return;
      }
      case undefined:
        throw invalid(joinPath(path, "edit"), "must be one of insert, move, remove");
    }
  }

  /** The elements to be inserted, which must be all that the resource has. */
  #elementsOf(resource: Resource | undefined, directive: Directive, path: string): unknown[] {
    const kind = this.#kind;
    if (resource?.kind.case !== kind.case)
      throw invalid(path, `must have the field ${kind.field}, with the elements in it`);
    const given = resource.kind.value as unknown as Fields;
    const { field } = directive.syntax;
    const others = kind.codec.desc.fields.filter((other) => other !== field && isSet(other, given));
    if (others.length > 0) {
      const names = others.map(({ name }) => name).join(", ");
      throw invalid(
        `${path}.${kind.field}.${others[0]!.name}`,
        `must not be set: only ${field.name} is inserted, and ${names} would be left out`,
      );
    }
    const elements = slotOf(field).get(given) as unknown[];
    if (elements.length === 0)
      throw invalid(`${path}.${kind.field}.${field.name}`, "must have the elements to insert");
    for (const [index, element] of elements.entries()) {
      const at = `${field.name}[${index}]`;
      atPath(`${path}.${kind.field}`, () => {
        refuseViolations(checkLineValue(directive, element, this.#version, at));
        const text = printLine(directive, element, at);
        if (!text.ok) refuseViolations([text.violation]);
      });
    }
    return elements;
  }
}

function within(index: number, elements: readonly unknown[], field: string): void {
  if (index < elements.length) return;
  throw invalid(field, `is outside of the list, which has ${elements.length} elements`);
}
