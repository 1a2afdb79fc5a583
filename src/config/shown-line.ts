import { readLineOf, shownText } from "../grammar/read-section.ts";
import type { Document } from "../text/document.ts";
import { languageOf } from "./languages.ts";

/** A line of a document as it may be shown to who may not see secrets: what follows a keyword that can hold one is hidden. Without its end. */
export function shownLine(document: Document, part: number, line: number): string {
  const place = document.placeAt({ part, line });
  if (place === undefined) return "";
  const { section, index } = place;
  const found = section.lines.at(index)!;
  const kind = languageOf(document).kindOfKeyword(section.keyword);
  if (kind === undefined || index === 0 || found.empty) return found.text;
  const reading = readLineOf(kind.codec, kind.keyword, found);
  const directive =
    reading.kind === "typed"
      ? reading.directive
      : "directive" in reading.reason
        ? reading.reason.directive
        : undefined;
  const shown = shownText(kind.codec, found, directive);
  return shown === found.text.trim() ? found.text : `${found.indentation}${shown}`;
}
