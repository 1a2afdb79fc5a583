import { fromBinary } from "@bufbuild/protobuf";
import { type WatchResponse, WatchResponseSchema } from "../../gen/haplane/v1/events_pb.js";
import { encodeCursor } from "./cursor.ts";
import type { LogPosition } from "./event-log.ts";

/** One message of a watch, shared by all watchers that get the same: do not change it. */
export class WatchMessage {
  /** The encoded `WatchResponse`. */
  readonly bytes: Uint8Array;
  #message: WatchResponse | undefined;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** The same as a message; decoded when first asked for. */
  get message(): WatchResponse {
    this.#message ??= fromBinary(WatchResponseSchema, this.bytes);
    return this.#message;
  }
}

/** What a message is. */
export type MessageKind =
  /** Events, after which `through` is reached. */
  | "events"
  /** Nothing but progress: `through` is reached. */
  | "bookmark"
  /** Events to which those of the next message belong; not to be resumed from. */
  | "partial";

/** Puts messages together from events that are encoded already. */
export class MessageEncoder {
  readonly #epoch: string;
  // Messages come in runs of the same position: of one event to many filters, of bookmarks.
  #last: { readonly position: LogPosition; readonly cursor: Buffer } | undefined;

  constructor(epoch: string) {
    this.#epoch = epoch;
  }

  /** `events` are encoded `haplane.v1.Event`s. */
  encode(kind: MessageKind, events: readonly Uint8Array[], through: LogPosition): WatchMessage {
    const cursor = kind === "partial" ? NONE : this.#cursor(through);
    const revision = kind === "partial" ? 0 : through.revision;
    let size = 0;
    for (const event of events) size += 1 + varintSize(event.length) + event.length;
    if (cursor.length > 0) size += 1 + varintSize(cursor.length) + cursor.length;
    if (revision > 0) size += 1 + varintSize(revision);
    if (kind !== "events") size += 2;

    const bytes = Buffer.allocUnsafe(size);
    let at = 0;
    for (const event of events) at = writeBytes(bytes, at, TAG_EVENTS, event);
    if (cursor.length > 0) at = writeBytes(bytes, at, TAG_CURSOR, cursor);
    if (revision > 0) {
      bytes[at] = TAG_REVISION;
      at = writeVarint(bytes, at + 1, revision);
    }
    if (kind !== "events") {
      bytes[at] = kind === "bookmark" ? TAG_BOOKMARK : TAG_PARTIAL;
      bytes[at + 1] = 1;
    }
    return new WatchMessage(bytes);
  }

  #cursor(position: LogPosition): Buffer {
    const last = this.#last;
    if (last?.position.seq === position.seq && last.position.revision === position.revision)
      return last.cursor;
    const cursor = Buffer.from(encodeCursor(this.#epoch, position));
    this.#last = { position, cursor };
    return cursor;
  }
}

const NONE = Buffer.alloc(0);

// Number and wire type of the fields of WatchResponse; a test holds them against the generated code.
const TAG_EVENTS = (1 << 3) | 2;
const TAG_CURSOR = (2 << 3) | 2;
const TAG_REVISION = 3 << 3;
const TAG_BOOKMARK = 4 << 3;
const TAG_PARTIAL = 5 << 3;

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size += 1;
  return size;
}

function writeBytes(bytes: Buffer, start: number, tag: number, value: Uint8Array): number {
  bytes[start] = tag;
  const at = writeVarint(bytes, start + 1, value.length);
  bytes.set(value, at);
  return at + value.length;
}

function writeVarint(bytes: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) {
    bytes[at] = (rest % 0x80) + 0x80;
    at += 1;
  }
  bytes[at] = rest;
  return at + 1;
}
