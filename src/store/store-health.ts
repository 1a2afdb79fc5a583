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
  readonly #listeners = new Set<() => void>();
  #cancelProbe = () => {};
  #stopped = false;

  constructor(options: StoreHealthOptions) {
    this.#options = options;
  }

  get state(): StoreHealth {
    return this.#state;
  }

  /** Calls after every change of whether the store can be written. Returns the way to hear no more. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** A write ended: with this error, or well (undefined). */
  outcome(failure: unknown): void {
    const { clock, logger, probe } = this.#options;
    this.#cancelProbe();
    if (failure === undefined) {
      if (this.#state.state === "available") return;
      logger.info("the state database can be written again");
      this.#become({ state: "available" });
      return;
    }
    const reason = failure instanceof Error ? failure.message : String(failure);
    if (this.#state.state === "available" || this.#state.reason !== reason) {
      const detail = failure instanceof DomainError ? failure.metadata : {};
      logger.error({ ...detail, err: failure }, "the state database cannot be written");
    }
    const since = this.#state.state === "unavailable" ? this.#state.since : clock.now();
    this.#become({ state: "unavailable", reason, since });
    if (!this.#stopped) this.#cancelProbe = clock.after(PROBE_AFTER_MS, probe);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelProbe();
  }

  #become(next: StoreHealth): void {
    const isChange = next.state !== this.#state.state;
    this.#state = next;
    if (isChange) for (const listener of this.#listeners) listener();
  }
}

const PROBE_AFTER_MS = 5_000;
