import { applyEdits, type Edit as ByteEdit } from "../store/delta.ts";

/** What is to be done with the files when HAProxy turns out to refuse what an intent announced: put the former content back, or leave what somebody wrote by hand. */
export type OnRefusal = "put-back" | "leave";

/** What an intent says of a write, beside the former content. */
export interface Announcement {
  readonly onRefusal: OnRefusal;
  /** What the files are to hold, by how it differs from the former content. Only files that hold exactly this are the intent's business. */
  readonly next: readonly { readonly path: string; readonly edit: ByteEdit }[];
}

/** How an announcement is kept: bytes as base64. */
interface Kept {
  readonly onRefusal: OnRefusal;
  readonly next: readonly {
    readonly path: string;
    readonly offset: number;
    readonly length: number;
    readonly bytes: string;
  }[];
}

/** Writes an announcement as an intent keeps it. */
export function encodeIntent({ onRefusal, next }: Announcement): Uint8Array {
  const kept: Kept = {
    onRefusal,
    next: next.map(({ path, edit: { offset, length, bytes } }) => ({
      ...{ path, offset, length },
      bytes: Buffer.from(bytes).toString("base64"),
    })),
  };
  return Buffer.from(JSON.stringify(kept));
}

/** Reads what `encodeIntent` wrote. One that cannot be read announces nothing, so that no file is its business. */
export function decodeIntent(data: Uint8Array): Announcement {
  try {
    const { onRefusal, next } = JSON.parse(Buffer.from(data).toString()) as Kept;
    return {
      onRefusal,
      next: next.map(({ path, offset, length, bytes }) => ({
        path,
        edit: { offset, length, bytes: Buffer.from(bytes, "base64") },
      })),
    };
  } catch {
    return { onRefusal: "leave", next: [] };
  }
}

/** Whether a file holds what was announced. */
export function holdsAnnounced(former: Uint8Array, edit: ByteEdit, found: Uint8Array): boolean {
  if (edit.offset + edit.length > former.length) return false;
  return Buffer.from(applyEdits(former, [edit])).equals(found);
}
