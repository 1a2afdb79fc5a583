import type { FileVersionRetention } from "./file-version-table.ts";
import type { RevisionRetention } from "./revision-retention.ts";

/** How much history is kept. The newest revision, and what pending intents and kept revisions need, is always kept. */
export interface Retention extends RevisionRetention, FileVersionRetention {
  /** Number of reload records. */
  readonly reloads: number;
  /** Bytes of encoded events in the log. */
  readonly eventBytes: number;
  /** Age in milliseconds beyond which events go. */
  readonly eventAgeMs: number;
}

const DAY_MS = 24 * 3_600_000;

/** What holds where a setting says nothing else. */
export const DEFAULT_RETENTION: Retention = {
  revisions: 1_000,
  discoveryRevisions: 1_000,
  revisionAgeMs: 365 * DAY_MS,
  discoveryRevisionAgeMs: 7 * DAY_MS,
  revisionBytes: 256 * 1024 * 1024,
  fileVersions: 1_000,
  fileVersionAgeMs: 365 * DAY_MS,
  fileVersionBytes: 64 * 1024 * 1024,
  reloads: 1_000,
  eventBytes: 64 * 1024 * 1024,
  eventAgeMs: 7 * DAY_MS,
};
