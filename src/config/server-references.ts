import type { Document } from "../text/document.ts";
import { sectionReader } from "./section-lines.ts";

/** Lines that can name a server: `use-server`, `track`, and expressions such as `srv_is_up(web/a)`. */
const namingLines = sectionReader((line) => {
  const words = line.words.map((word) => word.value);
  if (words[0] === "use-server") return words.join(" ");
  const tracks = words.indexOf("track");
  const naming = words.filter((word, index) => word.includes("srv_") || index === tracks + 1);
  return (tracks >= 0 && words[0] !== undefined) || words.some((word) => word.includes("srv_"))
    ? naming.join(" ")
    : undefined;
});

/**
 * Whether a line of the document may name a server of a backend, so that HAProxy would refuse to delete it, or the file without it. It errs on the side of yes:
 * the words of expressions are not taken apart.
 */
export function isServerNamed(document: Document, backend: string, server: string): boolean {
  const qualified = asToken(`${backend}/${server}`);
  const bare = asToken(server);
  for (const section of document.sections()) {
    const name = section.name === backend ? bare : qualified;
    if (namingLines(section).some((text) => qualified.test(text) || name.test(text))) return true;
  }
  return false;
}

/** The name, not as a part of a longer one. */
function asToken(name: string): RegExp {
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`(?<![A-Za-z0-9_.:-])${escaped}(?![A-Za-z0-9_.:-])`);
}
