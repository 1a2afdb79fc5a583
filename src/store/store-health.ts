import type { Logger } from "pino";
import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";

/** Whether the store can be written. */
export type StoreHealth =
  | { readonly state: "available" }
  /** `since`: the time of the first failure in a row, in milliseconds since 1970. */
  | { readonly state: "unavailable"; readonly reason: string; readonly since: number };

/** What a health watch is given. */
export interface StoreHealthOptions {
  readonly clock: Clock;
  readonly logger: Pick<Logger, "info" | "error">;
  /** Tries a write; its outcome is reported like any other's. */
  readonly probe: () => void;
}

/** Follows the outcomes of writes; while they fail and nobody else writes, it tries by itself, so that the state does not outlive its cause. */
export class StoreHealthWatch {
  readonly #options: StoreHealthOptions;
  #state: StoreHealth = { state: "available" };
  #cancelProbe = () => {};
  #stopped = false;

  constructor(options: StoreHealthOptions) {
    this.#options = options;
  }

  get state(): StoreHealth {
    return this.#state;
  }

  /** A write ended: with this error, or well (undefined). */
  outcome(failure: unknown): void {
    const { clock, logger, probe } = this.#options;
    this.#cancelProbe();
    if (failure === undefined) {
      if (this.#state.state === "unavailable") logger.info("the state database can be written again");
      this.#state = { state: "available" };
      return;
    }
    const reason = failure instanceof Error ? failure.message : String(failure);
    if (this.#state.state === "available" || this.#state.reason !== reason) {
      const detail = failure instanceof DomainError ? failure.metadata : {};
      logger.error({ ...detail, err: failure }, "the state database cannot be written");
    }
    const since = this.#state.state === "unavailable" ? this.#state.since : clock.now();
    this.#state = { state: "unavailable", reason, since };
    if (!this.#stopped) this.#cancelProbe = clock.after(PROBE_AFTER_MS, probe);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelProbe();
  }
}

const PROBE_AFTER_MS = 5_000;
