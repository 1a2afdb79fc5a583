import { deserialize, serialize } from "node:v8";
import { Content } from "../lib/content.ts";
import { applyEdits, type Edit as ByteEdit } from "../store/delta.ts";
import type { Operation } from "../store/operations.ts";

/** What is to be done with the files when HAProxy turns out to refuse what an intent announced: put the former content back, or leave what somebody wrote by hand. */
export type OnRefusal = "put-back" | "leave";

/** A file that is about to hold something else. */
export interface AnnouncedFile {
  readonly path: string;
  /** What it is to hold, by how it differs from the former content; undefined: it is to be removed. */
  readonly edit: ByteEdit | undefined;
  /** Permission bits and owner that a file beside the configuration had, to be given back with its content. */
  readonly mode?: number;
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

/** What an intent says of a write, beside the former content. */
export interface Announcement {
  readonly onRefusal: OnRefusal;
  /** All files of the configuration, and others that change. Only what holds exactly this is the intent's business. */
  readonly next: readonly AnnouncedFile[];
  /** What goes into the store with the revision, which whoever completes the write appends. */
  readonly along: readonly Operation[];
}

/** How an announcement is kept: bytes as base64. */
interface Kept {
  readonly onRefusal: OnRefusal;
  readonly next: readonly (Omit<AnnouncedFile, "edit"> & {
    readonly offset?: number;
    readonly length?: number;
    /** Absent with a file that is to be removed. */
    readonly bytes?: string;
  })[];
  /** Serialized; absent when there is nothing. */
  readonly along?: string;
}

/** Writes an announcement as an intent keeps it. */
export function encodeIntent({ onRefusal, next, along }: Announcement): Uint8Array {
  const kept: Kept = {
    onRefusal,
    next: next.map(({ edit, ...file }) => ({
      ...file,
      ...(edit && {
        offset: edit.offset,
        length: edit.length,
        bytes: Buffer.from(edit.bytes).toString("base64"),
      }),
    })),
    ...(along.length > 0 && { along: serialize(along).toString("base64") }),
  };
  return Buffer.from(JSON.stringify(kept));
}

/** Reads what `encodeIntent` wrote. One that cannot be read announces nothing, so that no file is its business. */
export function decodeIntent(data: Uint8Array): Announcement {
  try {
    const { onRefusal, next, along } = JSON.parse(Buffer.from(data).toString()) as Kept;
    return {
      onRefusal,
      along: along === undefined ? [] : (deserialize(Buffer.from(along, "base64")) as Operation[]),
      next: next.map(({ offset = 0, length = 0, bytes, ...file }) => ({
        ...file,
        edit: bytes === undefined ? undefined : { offset, length, bytes: Buffer.from(bytes, "base64") },
      })),
    };
  } catch {
    return { onRefusal: "leave", next: [], along: [] };
  }
}

/** What a file is to hold; undefined for one that is to be removed, `unknown` where the announcement does not fit the former content. */
export function announcedContent(
  former: Content | undefined,
  { edit }: AnnouncedFile,
): Content | "unknown" | undefined {
  if (edit === undefined) return undefined;
  const { bytes } = former ?? Content.EMPTY;
  return edit.offset + edit.length > bytes.length ? "unknown" : Content.of(applyEdits(bytes, [edit]));
}
