import type { StoredSource } from "../discovery/source-store.ts";
import type { Clock } from "../lib/clock.ts";
import { createLogger } from "../lib/log.ts";
import { makeDirectory } from "../lib/make-directory.ts";
import { openStore } from "../store/store.ts";

/** A state directory whose haplane does not run. */
export interface StateDirectory {
  readonly stateDir: string;
  /** This process's id, told to whoever finds the directory in use. */
  readonly pid: number;
  readonly clock: Clock;
}

/**
 * Adds sources to a state directory, which is made when it is not there. Resolves with the names of those that were there already, and stay as they are. Rejects with `STATE_LOCKED`
 * while a haplane uses it.
 */
export async function addSources(
  { stateDir, pid, clock }: StateDirectory,
  sources: readonly StoredSource[],
): Promise<readonly string[]> {
  makeDirectory(stateDir, 0o700);
  const logger = createLogger({ level: "silent", destination: { write() {} } });
  const store = await openStore(stateDir, { clock, logger, pid });
  try {
    const known = new Set((await store.sources.list()).map(({ name }) => name));
    for (const source of sources) if (!known.has(source.name)) await store.sources.put(source);
    return sources.map(({ name }) => name).filter((name) => known.has(name));
  } finally {
    await store.close();
  }
}
