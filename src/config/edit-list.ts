import type { ListChange, Resource } from "../../gen/haplane/v1/configuration_pb.js";
import { editSection } from "../grammar/edit-section.ts";
import { sectionMessage } from "../grammar/section-message.ts";
import { type Fields, slotOf } from "../grammar/slot.ts";
import type { Document } from "../text/document.ts";
import { invalid } from "./invalid.ts";
import type { SectionKind } from "./kinds.ts";
import type { Located } from "./locate.ts";
import { printableName } from "./name.ts";
import { atPath, joinPath, type WriteContext } from "./write-context.ts";

/** Inserts, moves or removes elements of a section's list, e.g. its rules. Throws `FIELD_INVALID` for a field that is no list, and for positions outside of it. */
export function editList(
  document: Document,
  { kind, section }: Located,
  change: ListChange,
  { version }: WriteContext,
  path: string,
): Document {
  const directive = kind.codec.directives.find(({ syntax }) => syntax.field.name === change.field);
  if (directive === undefined || !directive.repeated || directive.syntax.child)
    throw invalid(joinPath(path, "field"), `a ${kind.keyword} has no list ${printableName(change.field)}`);
  const slot = slotOf(directive.syntax.field);
  const message = sectionMessage(kind.codec, section, { children: false, secrets: true });
  const elements = [...(slot.get(message) as unknown[])];
  splice(elements, kind, change, slot.get, path);
  slot.set(message, elements);
  return atPath(
    joinPath(path, kind.field),
    () =>
      editSection(document, section, kind.codec, message, {
        fields: new Set([directive.syntax.field]),
        ...(version !== undefined && { version }),
      }).document,
  );
}

function splice(
  elements: unknown[],
  kind: SectionKind,
  { edit }: ListChange,
  get: (message: Fields) => unknown,
  path: string,
): void {
  switch (edit.case) {
    case "insert": {
      const given = elementsOf(edit.value.elements, kind, joinPath(path, "insert.elements"));
      elements.splice(edit.value.index, 0, ...(get(given) as unknown[]));
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

function elementsOf(resource: Resource | undefined, kind: SectionKind, path: string): Fields {
  if (resource?.kind.case === kind.case) return resource.kind.value as unknown as Fields;
  throw invalid(path, `must have the field ${kind.field}, with the elements in it`);
}

function within(index: number, elements: readonly unknown[], field: string): void {
  if (index < elements.length) return;
  throw invalid(field, `is outside of the list, which has ${elements.length} elements`);
}
