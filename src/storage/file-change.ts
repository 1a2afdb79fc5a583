import type { FileKind } from "./kinds.ts";
import type { FileFacts } from "./known-files.ts";

/** Something that happened to a file, for whoever watches. */
export interface FileChange {
  readonly type: "added" | "updated" | "removed" | "expiring";
  readonly kind: FileKind;
  /** After the change; before it, when removed. */
  readonly facts: FileFacts;
  /** Who did it; `external`: somebody through HAProxy's own socket; `haplane`: nobody, time did. */
  readonly author: string;
  /** When the first certificate in it ends, in milliseconds since 1970; undefined for files without one. */
  readonly notAfter: number | undefined;
}

/** Told of changes as they happen. */
export type OnFileChange = (change: FileChange) => void;
