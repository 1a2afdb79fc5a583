import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { pino } from "pino";
import type { EventLog } from "../../src/events/event-log.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/store/store.ts";
import { emptyLogState, MemoryEventLog } from "./memory-event-log.ts";

/** A history that can be opened again and again, like a state directory. */
export interface LogPlace {
  /** Opens the log. The one opened before must be closed. */
  open(): Promise<{ readonly log: EventLog; close(): Promise<void> }>;
  /** Removes what it left on the disk. */
  remove(): Promise<void>;
}

/** A kind of log that keeps the contract. */
export interface LogKind {
  readonly name: string;
  /** How many random runs a test of this kind can afford. */
  readonly runs: number;
  create(clock: Clock): Promise<LogPlace>;
}

const memory: LogKind = {
  name: "in memory",
  runs: 150,
  async create() {
    const state = emptyLogState();
    return {
      open: async () => ({ log: new MemoryEventLog(state), close: async () => {} }),
      remove: async () => {},
    };
  },
};

const sqlite: LogKind = {
  name: "in SQLite",
  runs: 6,
  async create(clock) {
    const directory = await mkdtemp(join(tmpdir(), "haplane-log-"));
    return {
      async open() {
        const store = await openStore(directory, {
          clock,
          logger: pino({ level: "silent" }),
          pid: process.pid,
        });
        return { log: store.events, close: () => store.close() };
      },
      remove: () => rm(directory, { recursive: true }),
    };
  },
};

/** Every kind of log there is; tests of what is built on one run over all of them. */
export const LOG_KINDS: readonly LogKind[] = [memory, sqlite];
