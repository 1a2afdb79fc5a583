import type { Logger } from "pino";
import type { Clock } from "../lib/clock.ts";

/** What maintenance is given. */
export interface MaintenanceOptions {
  readonly clock: Clock;
  readonly logger: Pick<Logger, "warn">;
  /** Does a bounded piece of work; whether there is more. */
  readonly step: () => Promise<boolean>;
}

/**
 * Keeps the store within its bounds: once a minute, step after step until nothing is left to do, with writes in between. A failure is logged and tried again the next time.
 */
export function createMaintenance({ clock, logger, step }: MaintenanceOptions): { stop(): void } {
  let stopped = false;
  let cancel = () => {};
  const run = async () => {
    try {
      while (!stopped && (await step()));
    } catch (error) {
      if (!stopped) logger.warn({ err: error }, "the state database could not be pruned");
    }
    schedule();
  };
  const schedule = () => {
    if (!stopped) cancel = clock.after(INTERVAL_MS, () => void run());
  };
  schedule();
  return {
    stop() {
      stopped = true;
      cancel();
    },
  };
}

const INTERVAL_MS = 60_000;
