import { runSteps } from "../lib/steps.ts";
import type { Document } from "../text/document.ts";
import { deleteSection } from "../text/edit-sections.ts";
import { languageOf } from "./languages.ts";
import { formatName } from "./name.ts";
import { checkRemoved, type Removed, usageSteps } from "./references.ts";
import { backendSection } from "./server.ts";

/** The document without a backend; itself when there is none. Throws `RESOURCE_IN_USE` when a line names it. */
export function removeBackend(document: Document, name: string): Document {
  const removal = removalOf(document, name);
  if (removal === undefined) return document;
  checkRemoved(document, removal.without, [removal.removed]);
  return removal.without;
}

/** The resources with lines that name a backend, so that it cannot be removed: `frontends/http`. */
export function backendReferrers(document: Document, name: string): readonly string[] {
  const removal = removalOf(document, name);
  if (removal === undefined) return [];
  const usages = runSteps(usageSteps(document, removal.without, [removal.removed]));
  return [...new Set(usages.map(({ field }) => field))];
}

function removalOf(
  document: Document,
  name: string,
): { readonly without: Document; readonly removed: Removed } | undefined {
  const section = backendSection(document, name);
  const kind = languageOf(document).kindOfKeyword("backend");
  if (section === undefined || kind === undefined) return undefined;
  const removed = { resource: formatName("backends", name), kind, section, server: undefined };
  return { without: deleteSection(document, section), removed };
}
