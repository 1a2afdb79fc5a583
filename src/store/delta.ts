/** One stretch of bytes that is replaced by others. */
export interface Edit {
  /** Where the stretch begins in the content before. */
  readonly offset: number;
  /** How many bytes are replaced; 0 for an insertion. */
  readonly length: number;
  /** What stands there instead; empty for a deletion. */
  readonly bytes: Uint8Array;
}

/** How one file's content differs between two revisions. */
export interface FileEdits {
  readonly path: string;
  readonly change: "added" | "changed" | "removed";
  /** Whole lines that were replaced, in order. */
  readonly lines: readonly LineEdit[];
}

/** Lines that were replaced by others. */
export interface LineEdit {
  /** Number of the first replaced line in the content before, from 1. */
  readonly beforeLine: number;
  /** The replaced lines, with their ends of line; empty for an insertion. */
  readonly before: Uint8Array;
  /** Number of the first new line in the content after, from 1. */
  readonly afterLine: number;
  /** What stands there instead; empty for a deletion. */
  readonly after: Uint8Array;
}
