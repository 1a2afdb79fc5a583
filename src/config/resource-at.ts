import type { Document, Position } from "../text/document.ts";
import { languageOf } from "./languages.ts";
import { formatName } from "./name.ts";

/** Name of the resource that a line of the document belongs to; undefined for one that belongs to none, or to a section without a name. */
export function resourceAt(document: Document, position: Position): string | undefined {
  const place = document.placeAt(position);
  if (place === undefined) return undefined;
  const { section, index } = place;
  const kind = languageOf(document).kindOfKeyword(section.keyword);
  if (kind?.naming === "none") return kind.collection;
  if (kind === undefined || section.name === "") return undefined;
  const [keyword, name] = section.lines.at(index)?.words ?? [];
  return keyword?.value === "server" &&
    name !== undefined &&
    kind.children.some((child) => child.case === "server")
    ? formatName(kind.collection, section.name, "servers", name.value)
    : formatName(kind.collection, section.name);
}
