import type { Grammar } from "../grammar/grammar.ts";
import { Document } from "../text/document.ts";
import type { Line } from "../text/line.ts";
import { inspectLines } from "./read-document.ts";

/**
 * Prints a file anew: each line that has a message from that message alone, all others as they were. Indentation, comments and line
 * endings stay.
 */
export function reprint(grammar: Grammar, bytes: Buffer): Buffer {
  const document = Document.parse([{ path: "", bytes }]);
  const pieces: Buffer[] = [];
  for (const line of inspectLines(grammar, document)) {
    if (line.kind === "typed" || line.kind === "header") pieces.push(...replaced(line.line, line.printed));
    else pieces.push(line.line.bytes);
  }
  return Buffer.concat(pieces);
}

function replaced(line: Line, printed: string | Buffer): Buffer[] {
  const end = line.words.at(-1)?.end ?? 0;
  return [
    Buffer.from(line.indentation),
    typeof printed === "string" ? Buffer.from(printed) : printed,
    line.bytes.subarray(end),
  ];
}
