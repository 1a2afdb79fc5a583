import { createHash } from "node:crypto";

/** What is to be done with the files when HAProxy turns out to refuse what an intent announced: put the former content back, or leave what somebody wrote by hand. */
export type OnRefusal = "put-back" | "leave";

/** What an intent says of a write, beside the former content. */
export interface Announcement {
  readonly onRefusal: OnRefusal;
  /** What the files are to hold. Only files that hold exactly this are the intent's business. */
  readonly next: readonly { readonly path: string; readonly sha256: string }[];
}

/** Writes an announcement as an intent keeps it. */
export function encodeIntent(announcement: Announcement): Uint8Array {
  return Buffer.from(JSON.stringify(announcement));
}

/** Reads what `encodeIntent` wrote. One that cannot be read announces nothing, so that no file is its business. */
export function decodeIntent(data: Uint8Array): Announcement {
  try {
    const { onRefusal, next } = JSON.parse(Buffer.from(data).toString()) as Announcement;
    if (Array.isArray(next)) return { onRefusal, next };
  } catch {}
  return { onRefusal: "leave", next: [] };
}

/** The digest by which content is recognized. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64url");
}
