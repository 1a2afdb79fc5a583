import type { Logger } from "pino";
import type { BackoffOptions } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import type { BackendNames } from "./backend-names.ts";
import type { Departures } from "./departures.ts";
import type { Memory } from "./memory.ts";
import type { Registry } from "./registry.ts";
import type { SlotPolicy } from "./slots.ts";
import type { LossLimits } from "./steady.ts";
import type { Target } from "./target.ts";

/** What all sources share. */
export interface SourceContext {
  readonly target: Target;
  readonly departures: Departures;
  readonly backendNames: BackendNames;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How a source makes backends and servers, and takes servers away. */
export interface Making {
  /** The `defaults` section of new backends; empty for none. */
  readonly defaults: string;
  /** Words behind the address of new servers. */
  readonly options: readonly string[];
  /** How slots are made; undefined when there are to be none. */
  readonly slots: SlotPolicy | undefined;
  /** How long a server that is removed may take to end its connections, in milliseconds. */
  readonly drainMs: number;
}

/** What one source is to do. */
export interface SourceTask {
  /** `sources/{source}`; the author of its changes. */
  readonly name: string;
  readonly registry: Registry;
  /** What it calls the backend of a service. */
  readonly nameBackend: (service: string) => string;
  /** The waits after failures of the registry. */
  readonly retry: BackoffOptions;
  /** Which losses are not believed at once. */
  readonly losses: LossLimits;
  /** How its backends and servers are made and taken away. */
  readonly making: Making;
  /** Where the run before this one ended. */
  readonly memory: Memory;
  /** Called when the kind of its state has changed. */
  readonly onState: () => void;
  /** Called when `services` may have changed. */
  readonly onServices: () => void;
  /** See `FollowerContext`. */
  readonly onApplied: (tookMs: number) => void;
  /** Called when `memory` has changed. */
  readonly onMemory: () => void;
}
