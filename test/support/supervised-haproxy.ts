import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { pino } from "pino";
import { createHaproxy, type HaproxyOptions } from "../../src/haproxy/create-haproxy.ts";
import type { Haproxy } from "../../src/haproxy/haproxy.ts";
import type { ProcessState, Running } from "../../src/haproxy/process-state.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { type HaproxyPaths, haproxyBinary, haproxyPaths, testConfig } from "./haproxy.ts";
import { waitFor } from "./wait.ts";

/** Haplane's view of an HAProxy in a temporary directory. */
export interface SupervisedHaproxy {
  readonly haproxy: Haproxy;
  readonly paths: HaproxyPaths;
  /** Every state since it was made. */
  readonly states: ProcessState[];
  /** Writes the configuration: `body` below `testConfig`'s head. */
  writeConfig(body: string): void;
  writeFile(text: string): void;
  /** The present state, which has to be running. */
  running(): Running;
  /** Another one over the same directory, as a haplane that is started again. */
  again(options?: Partial<HaproxyOptions>): SupervisedHaproxy;
  /** Ends HAProxy and removes the directory. */
  end(): Promise<void>;
}

/** Makes a managed HAProxy with `body` as its configuration; it is not started yet. */
export function manageHaproxy(
  body: string | ((paths: HaproxyPaths) => string),
  options: Partial<HaproxyOptions> = {},
) {
  const paths = haproxyPaths();
  const supervised = supervise(paths, options);
  supervised.writeConfig(typeof body === "string" ? body : body(paths));
  return supervised;
}

/** Haplane's view of what runs, or will run, on these paths. */
export function supervise(paths: HaproxyPaths, options: Partial<HaproxyOptions> = {}): SupervisedHaproxy {
  const haproxy = createHaproxy({
    binary: haproxyBinary,
    files: [paths.config],
    masterSocket: undefined,
    statsSocket: undefined,
    stateDir: paths.dir,
    clock: systemClock,
    logger: pino({ level: "silent" }),
    ...options,
  });
  const states: ProcessState[] = [];
  haproxy.subscribe((state) => states.push(state));
  const writeFile = (text: string) => writeFileSync(paths.config, text);
  return {
    haproxy,
    paths,
    states,
    writeFile,
    writeConfig: (body) => writeFile(testConfig(paths, body)),
    running() {
      const { state } = haproxy;
      if (state.kind !== "running") throw new Error(`HAProxy is ${JSON.stringify(state)}`);
      return state;
    },
    again: (more = {}) => supervise(paths, { ...options, ...more }),
    async end() {
      await haproxy.stop({ haproxy: "end", graceMs: 0 });
      rmSync(paths.dir, { recursive: true, force: true });
    },
  };
}

/** Waits until the state is of this kind, and returns it. */
export function reach<K extends ProcessState["kind"]>(
  haproxy: Haproxy,
  kind: K,
  which: (state: Extract<ProcessState, { kind: K }>) => boolean = () => true,
): Promise<Extract<ProcessState, { kind: K }>> {
  return waitFor(`HAProxy to be ${kind}`, () => {
    const { state } = haproxy;
    if (state.kind !== kind) return false;
    const found = state as Extract<ProcessState, { kind: K }>;
    return which(found) && found;
  }) as Promise<Extract<ProcessState, { kind: K }>>;
}

/** True while a process of this id is there and is not a zombie. */
export function isRunning(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).length > 0;
  } catch {
    return false;
  }
}
