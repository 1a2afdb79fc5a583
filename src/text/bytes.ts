import { isUtf8 } from "node:buffer";

/** The bytes that mean something to HAProxy. */
export const NUL = 0;
export const TAB = 9;
export const LF = 10;
export const CR = 13;
export const SPACE = 32;
export const DOUBLE_QUOTE = 34;
export const HASH = 35;
export const DOLLAR = 36;
export const SINGLE_QUOTE = 39;
export const MINUS = 45;
export const BACKSLASH = 92;
export const TILDE = 126;

/** True for the bytes that HAProxy takes as blanks. */
export function isBlank(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13);
}

/** Bytes as text; what is not UTF-8 shows as replacement characters. */
export function decode(bytes: Uint8Array): { text: string; utf8: boolean } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { text: buffer.toString("utf8", 0, buffer.length), utf8: isUtf8(buffer) };
}
