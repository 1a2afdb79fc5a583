import type { LogMessage } from "./log-messages.ts";

/** What `haproxy -c` said. */
export interface CheckOutcome {
  /** False also when the checker was ended by a signal or did not come to an end in time. */
  readonly ok: boolean;
  /** Alerts, warnings and notices in the order printed. */
  readonly messages: readonly LogMessage[];
  /** Why it failed when that is not in the messages: a signal, the deadline. */
  readonly failure?: string;
  readonly tookMs: number;
}
