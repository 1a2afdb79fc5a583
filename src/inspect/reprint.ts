import type { Grammar } from "../grammar/grammar.ts";
import { Document } from "../text/document.ts";
import type { Line } from "../text/line.ts";
import { type InspectedLine, inspectLines } from "./read-document.ts";

/**
 * Prints a file anew: each line that has a message from that message alone, all others as they were. Indentation, comments and line
 * endings stay.
 */
export function reprint(grammar: Grammar, bytes: Buffer): Buffer {
  const document = Document.parse([{ path: "", bytes }]);
  const pieces: Buffer[] = [];
  for (const line of inspectLines(grammar, document)) {
    const printed = printOf(line);
    pieces.push(...(printed === undefined ? [line.line.bytes] : replaced(line.line, printed)));
  }
  return Buffer.concat(pieces);
}

/** What stands for a line's words; undefined where they stay. */
function printOf(line: InspectedLine): string | Buffer | undefined {
  if (line.kind === "header") return line.printed;
  return line.kind === "typed" ? line.print() : undefined;
}

function replaced(line: Line, printed: string | Buffer): Buffer[] {
  const end = line.words.at(-1)?.end ?? 0;
  return [
    Buffer.from(line.indentation),
    typeof printed === "string" ? Buffer.from(printed) : printed,
    line.bytes.subarray(end),
  ];
}
