import type { LogMessage } from "./log-messages.ts";

/** How a reload ended. */
export type ReloadOutcome =
  /** A new worker runs the new configuration. */
  | {
      readonly kind: "succeeded";
      readonly workerPid: number;
      readonly oldWorkerPids: readonly number[];
      readonly messages: readonly LogMessage[];
      readonly tookMs: number;
    }
  /** HAProxy refused the configuration; the worker of before serves on. */
  | {
      readonly kind: "refused";
      readonly messages: readonly LogMessage[];
      readonly log: string;
      readonly tookMs: number;
    }
  /** The master died of it: nothing serves until it is started again. */
  | {
      readonly kind: "master_lost";
      readonly messages: readonly LogMessage[];
      readonly log: string;
      readonly tookMs: number;
    }
  /** No end was seen within the deadline; what runs is unknown. */
  | { readonly kind: "timed_out"; readonly log: string; readonly tookMs: number };
