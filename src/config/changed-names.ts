import type { Document } from "../text/document.ts";
import { languageOf } from "./languages.ts";
import { writeResourceId } from "./locate.ts";
import { diffDocuments } from "./section-diff.ts";

/** Names of the sections that are not the same in two documents, those without a name of their own left out. */
export function changedNames(before: Document, after: Document): string[] {
  const names = diffDocuments(before, after).sections.flatMap(({ keyword, name }) => {
    const kind = languageOf(after).kindOfKeyword(keyword);
    if (kind === undefined || (kind.naming !== "none" && name === "")) return [];
    const section = kind.naming === "none" ? "@1" : name;
    return [writeResourceId({ kind, section, child: undefined })];
  });
  return [...new Set(names)];
}
