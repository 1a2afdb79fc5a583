import { invalidContent } from "./invalid-content.ts";
import { linesOf, MAX_LINE_BYTES } from "./pattern-lines.ts";

/** A line of a crt-list (configuration manual, `crt-list`): a certificate, options in brackets, names. */
export interface CrtListLine {
  /** Path of the certificate as it is written. */
  readonly certificate: string;
  /** The line without blanks around it. */
  readonly text: string;
  /** In the file, from 1. */
  readonly number: number;
}

const LINE = /^([^ \t[\]]+)(?:[ \t]+\[[^[\]]*\])?(?:[ \t]+[^[\]]*)?$/;

/** Reads a crt-list. Throws `FIELD_INVALID`, naming the line. */
export function readCrtList(content: string): readonly CrtListLine[] {
  return linesOf(content).flatMap((line, index) => {
    const text = line.trim();
    if (text === "" || text.startsWith("#")) return [];
    const certificate = LINE.exec(text)?.[1];
    if (certificate === undefined || text.includes("\0") || Buffer.byteLength(text) > MAX_LINE_BYTES)
      throw invalidContent(`has no line of a crt-list (certificate [options] names) in line ${index + 1}`);
    return [{ certificate, text, number: index + 1 }];
  });
}
