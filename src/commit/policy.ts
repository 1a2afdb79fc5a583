/** How the commit behaves where operators differ. */
export interface CommitPolicy {
  /** Writes and reloads nothing: only looks. Discovery then changes the running HAProxy only. */
  readonly readOnly: boolean;
  /** What needs a reload waits this long for company, in milliseconds, so that what comes together costs one reload. Default 0: one turn of the event loop; what comes while a reload is under way is together in the next one anyway. */
  readonly reloadDelayMs: number;
  /** Least time from the end of one reload to the beginning of the next, in milliseconds. */
  readonly reloadIntervalMs: number;
  /** A reload waits while this many workers of earlier configurations still finish their connections. */
  readonly maxOldWorkers: number;
  /** Whether an edit of the file by hand that HAProxy accepts is taken over by itself, or waits until somebody asks for a reload. */
  readonly externalEdits: "adopt" | "hold";
}

/** What holds unless it is set otherwise. */
export const DEFAULT_POLICY: CommitPolicy = {
  readOnly: false,
  reloadDelayMs: 0,
  reloadIntervalMs: 0,
  maxOldWorkers: 16,
  externalEdits: "adopt",
};
