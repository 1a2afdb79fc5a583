import { invalidContent } from "./invalid-content.ts";
import type { PatternEntry } from "./live.ts";

/** Whether the lines are a map's (key and value) or an ACL's (patterns). */
export type PatternKind = "map" | "acl";

/** HAProxy reads a line into one buffer (`tune.bufsize`, 16,384 by default), and takes the rest of a longer one for another line. */
export const MAX_LINE_BYTES = 16_000;

const NUL = 0;

/** The entry of a line, as HAProxy reads it (configuration manual, section 7.1.1 and `map`); undefined for a comment or an empty line. */
export function readPatternLine(kind: PatternKind, line: string): PatternEntry | undefined {
  if (line.startsWith("#")) return undefined;
  const text = line.replace(/\r.*$/s, "").replace(/^[ \t]+/, "");
  if (text === "") return undefined;
  if (kind === "acl") return { key: text, value: "" };
  const end = text.search(/[ \t]/);
  if (end === -1) return { key: text, value: "" };
  return { key: text.slice(0, end), value: text.slice(end).replace(/^[ \t]+|[ \t]+$/g, "") };
}

/** A line that HAProxy reads as this entry. Throws `FIELD_INVALID` for what no line can say. */
export function writePatternLine(kind: PatternKind, { key, value }: PatternEntry): string {
  const line = kind === "acl" || value === "" ? key : `${key} ${value}`;
  const read = line.includes("\n") || line.includes("\0") ? undefined : readPatternLine(kind, line);
  if (read?.key === key && read.value === value && Buffer.byteLength(line) <= MAX_LINE_BYTES) return line;
  throw invalidContent(
    kind === "map"
      ? "would need a key without blanks that does not begin with #, and a value in one line without blanks around it"
      : "would need a pattern in one line that begins with neither a blank nor #",
  );
}

/** The lines of a text, without their ends; no line after a last line feed. */
export function linesOf(text: string): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** The entries of a text. */
export function readPatterns(kind: PatternKind, text: string): PatternEntry[] {
  return linesOf(text).flatMap((line) => readPatternLine(kind, line) ?? []);
}

/** Checks lines as they come by, whatever the pieces. */
export async function checkPatternLines(pieces: AsyncIterable<Uint8Array>): Promise<void> {
  let length = 0;
  let number = 1;
  for await (const piece of pieces) {
    if (piece.includes(NUL)) throw invalidContent("holds a NUL byte");
    for (let at = 0; at < piece.length; ) {
      const feed = piece.indexOf(10, at);
      const end = feed === -1 ? piece.length : feed;
      length += end - at;
      if (length > MAX_LINE_BYTES)
        throw invalidContent(`has a line of more than ${MAX_LINE_BYTES} bytes, line ${number}`);
      if (feed !== -1) {
        length = 0;
        number += 1;
      }
      at = end + 1;
    }
  }
}
