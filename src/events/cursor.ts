import { DomainError } from "../lib/errors.ts";
import type { LogPosition } from "./event-log.ts";

/*
 * A cursor is base64url of: the version (one byte, 1), the number of the last event before it and the newest revision up to it (varints), and the epoch of the log.
 * Clients must not look inside.
 */

const VERSION = 1;
const MAX_LENGTH = 128;

/** The cursor of a place in the log of this epoch. */
export function encodeCursor(epoch: string, position: LogPosition): string {
  const bytes = [VERSION, ...varint(position.seq), ...varint(position.revision), ...Buffer.from(epoch)];
  return Buffer.from(bytes).toString("base64url");
}

/** The place that a cursor names. Throws `CURSOR_FOREIGN` when it is none of this epoch. */
export function decodeCursor(epoch: string, cursor: string): LogPosition {
  const bytes = cursor.length <= MAX_LENGTH ? Buffer.from(cursor, "base64url") : Buffer.alloc(0);
  // There is one way to write a cursor; whatever else decodes to the same bytes was not written by us.
  if (bytes[0] !== VERSION || bytes.toString("base64url") !== cursor) throw foreignCursor();
  const seq = readVarint(bytes, 1);
  const revision = readVarint(bytes, seq.end);
  if (bytes.toString("utf8", revision.end) !== epoch) throw foreignCursor();
  return { seq: seq.value, revision: revision.value };
}

/** What is thrown for a cursor of another history, or of none. */
export function foreignCursor(): DomainError {
  return new DomainError(
    "CURSOR_FOREIGN",
    "The cursor is not one of this state directory. Begin a new watch, with include_current if the present state matters.",
    { violations: [{ field: "cursor", description: "is not one of this state directory" }] },
  );
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  bytes.push(rest);
  return bytes;
}

function readVarint(bytes: Buffer, start: number): { readonly value: number; readonly end: number } {
  let value = 0;
  let scale = 1;
  for (let at = start; ; at += 1) {
    const byte = bytes[at];
    if (byte === undefined || scale > 2 ** 49) throw foreignCursor();
    value += (byte % 0x80) * scale;
    if (!Number.isSafeInteger(value)) throw foreignCursor();
    if (byte < 0x80) return { value, end: at + 1 };
    scale *= 0x80;
  }
}
