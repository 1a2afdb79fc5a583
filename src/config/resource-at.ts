import type { Document, Position } from "../text/document.ts";
import { formatName } from "./name.ts";

/** Collections of the sections that have a name of their own. */
const COLLECTIONS: Readonly<Record<string, string>> = {
  defaults: "defaults",
  frontend: "frontends",
  backend: "backends",
  listen: "listens",
  resolvers: "resolvers",
  peers: "peers",
  userlist: "userlists",
};

/** Name of the resource that a line of the document belongs to; undefined for one that belongs to none, or to a section without a name. */
export function resourceAt(document: Document, position: Position): string | undefined {
  const place = document.placeAt(position);
  if (place === undefined) return undefined;
  const { section, index } = place;
  if (section.keyword === "global") return "global";
  const collection = COLLECTIONS[section.keyword];
  if (collection === undefined || section.name === "") return undefined;
  const [keyword, name] = section.lines.at(index)?.words ?? [];
  return keyword?.value === "server" && name !== undefined
    ? formatName(collection, section.name, "servers", name.value)
    : formatName(collection, section.name);
}
