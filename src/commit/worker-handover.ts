import { setImmediate as nextTurn } from "node:timers/promises";
import type { Logger } from "pino";
import { backendSection, type ConfiguredServer, serversByName } from "../config/server.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { SetServer } from "../haproxy/server-change.ts";
import type { ServerState } from "../haproxy/server-states.ts";
import type { FileSystem } from "../lib/durable-file.ts";
import type { Document } from "../text/document.ts";
import { type TouchedServers, touchedServers } from "./classify.ts";
import type { Edit } from "./edit.ts";
import { type FindServer, givenBack } from "./given-back.ts";
import { EMPTY_STATE_FILE, stateFileContent, stateFileOf, writeStateFile } from "./state-file.ts";

/** So many servers are looked at in one turn of the event loop: a few milliseconds. */
const SLICE = 500;

/** A reload that is about to be made. */
export interface PlannedReload {
  /** What the former worker was in step with, but for `untold`. */
  readonly before: Document;
  /** What the new worker is started from. */
  readonly after: Document;
  /** Servers of which the former worker did not take, or was not told, what the document says. */
  readonly untold: TouchedServers;
}

/** What one worker leaves to the next, worked out while HAProxy reloads. */
export interface Legacy {
  /** What the new worker is started from. */
  readonly document: Document;
  /** What was set at runtime and is not in the file that the new worker reads. Never rejects. */
  readonly givenBack: Promise<readonly SetServer[]>;
}

/** A reload that succeeded. */
export interface Reloaded {
  readonly legacy: Legacy;
  /** Edits of the runtime lane since the new worker's file was written: it has not seen them. */
  readonly since: readonly Edit[];
}

/** Why one more reload is needed: the new worker does not take what the document says by now. */
export interface FollowUp {
  readonly reason: string;
  readonly untold: TouchedServers;
}

/** What passes between two workers: what a reload of the file alone would forget. */
export interface Handover {
  /** Before the master is told: reads what the old worker runs, and tells the new one by the state file where the configuration loads one. */
  before(planned: PlannedReload): Promise<Legacy>;
  /** When the new worker runs: tells it what was edited since its file was written, and what was set at runtime. */
  after(reloaded: Reloaded): Promise<FollowUp | undefined>;
}

/** What a handover works with. */
export interface HandoverOptions {
  readonly haproxy: Haproxy;
  readonly fs: FileSystem;
  readonly logger: Logger;
  /** What brings a worker in step: the runtime lane. */
  readonly runtime: {
    workerChanged(started: "from-document"): void;
    catchUp(since: readonly Edit[]): Promise<FollowUp | undefined>;
  };
}

/** The handover between workers of one HAProxy. */
export function createHandover({ haproxy, fs, logger, runtime }: HandoverOptions): Handover {
  const tellByFile = async (document: Document, content: () => string): Promise<void> => {
    const path = stateFileOf(document);
    if (path === undefined) return;
    await writeStateFile(fs, path, content()).catch((error: unknown) => {
      logger.warn(
        { err: error, path },
        "the server state file cannot be written; what was set at runtime is given back by commands",
      );
    });
  };
  const inheritance = async (states: Iterable<ServerState>, planned: PlannedReload) => {
    const { before, after, untold } = planned;
    const changes: SetServer[] = [];
    const [find, findNow] = [finderWithout(before, untold), finder(after)];
    for await (const slice of slices(states)) changes.push(...givenBack(slice, find, findNow));
    return changes;
  };
  return {
    async before(planned) {
      const { before, after, untold } = planned;
      const states = await haproxy.runtime.captureServerStates().catch((error: unknown) => {
        logger.warn({ err: error }, "what was set at runtime could not be read and is lost with the reload");
        return [];
      });
      await tellByFile(after, () =>
        stateFileContent([...states], finderWithout(before, untold), finder(after)),
      );
      return { document: after, givenBack: inheritance(states, planned) };
    },

    async after({ legacy, since }) {
      runtime.workerChanged("from-document");
      // A later start, after a crash say, is not to begin with states of long ago.
      await tellByFile(legacy.document, () => EMPTY_STATE_FILE);
      const followUp = await runtime.catchUp(since);
      const caughtUp = touchedServers(since.flatMap((edit) => edit.servers));
      const changes = (await legacy.givenBack).filter(
        ({ backend, server }) => caughtUp.get(backend)?.has(server) !== true,
      );
      if (changes.length === 0) return followUp;
      const outcomes = await haproxy.runtime.applyServers(changes);
      for (const [index, outcome] of outcomes.entries()) {
        if (!outcome.ok)
          logger.error(
            { change: changes[index], err: outcome.error },
            "what was set at runtime could not be given back after the reload",
          );
      }
      return followUp;
    },
  };
}

/** Many states in pieces, each in a turn of the event loop of its own: the master is told first, and discovery goes on meanwhile. */
async function* slices(states: Iterable<ServerState>): AsyncGenerator<readonly ServerState[]> {
  let slice: ServerState[] = [];
  await nextTurn();
  for (const state of states) {
    slice.push(state);
    if (slice.length < SLICE) continue;
    yield slice;
    await nextTurn();
    slice = [];
  }
  yield slice;
}

/** Finds many servers of one document: a backend's are read once. */
function finder(document: Document): FindServer {
  const known = new Map<string, ReadonlyMap<string, ConfiguredServer | undefined>>();
  return (backend, server) => {
    let servers = known.get(backend);
    if (servers === undefined) {
      const section = backendSection(document, backend);
      servers = section === undefined ? new Map() : serversByName(section);
      known.set(backend, servers);
    }
    return servers.get(server);
  };
}

/** The same, without servers of which the document says more than a worker was told. */
function finderWithout(document: Document, untold: TouchedServers): FindServer {
  const find = finder(document);
  return (backend, server) => (untold.get(backend)?.has(server) ? undefined : find(backend, server));
}
