import type { Document } from "../text/document.ts";
import { deleteSection } from "../text/edit-sections.ts";
import { languageOf } from "./languages.ts";
import { formatName } from "./name.ts";
import { checkRemoved } from "./references.ts";
import { backendSection } from "./server.ts";

/** The document without a backend; itself when there is none. Throws `RESOURCE_IN_USE` when a line names it. */
export function removeBackend(document: Document, name: string): Document {
  const section = backendSection(document, name);
  const kind = languageOf(document).kindOfKeyword("backend");
  if (section === undefined || kind === undefined) return document;
  const without = deleteSection(document, section);
  const removed = { resource: formatName("backends", name), kind, section, server: undefined };
  checkRemoved(document, without, [removed]);
  return without;
}
