import type { Logger } from "pino";
import { backendSection, type ConfiguredServer, serversByName } from "../config/server.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { ServerState } from "../haproxy/server-states.ts";
import type { FileSystem } from "../lib/durable-file.ts";
import type { Document } from "../text/document.ts";
import { mergeTouched, type TouchedServers, touchedServers } from "./classify.ts";
import type { Edit } from "./edit.ts";
import { type FindServer, givenBack } from "./given-back.ts";
import { EMPTY_STATE_FILE, stateFileContent, stateFileOf, writeStateFile } from "./state-file.ts";

/** A reload that is about to be made. */
export interface PlannedReload {
  /** What the former worker was in step with, but for `untold`. */
  readonly before: Document;
  /** What the new worker is started from. */
  readonly after: Document;
  /** Servers of which the former worker did not take, or was not told, what the document says. */
  readonly untold: TouchedServers;
}

/** A reload that succeeded. */
export interface Reloaded extends PlannedReload {
  /** The former worker's servers, read just before. */
  readonly old: readonly ServerState[];
  /** Edits of the runtime lane since `after` was written: the new worker has not seen them. */
  readonly since: readonly Edit[];
}

/** Why one more reload is needed: the new worker does not take what the document says by now. */
export interface FollowUp {
  readonly reason: string;
  readonly untold: TouchedServers;
}

/** What one worker leaves to the next: what a reload of the file alone would forget. */
export interface Handover {
  /** Before the master is told: reads what the old worker runs, and tells the new one by the state file where the configuration loads one. */
  before(planned: PlannedReload): Promise<readonly ServerState[]>;
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
  return {
    async before({ before, after, untold }) {
      const old = await haproxy.runtime.serverStates().catch((error: unknown) => {
        logger.warn({ err: error }, "what was set at runtime could not be read and is lost with the reload");
        return [];
      });
      await tellByFile(after, () => stateFileContent(old, finderWithout(before, untold), finder(after)));
      return old;
    },

    async after({ old, before, after, untold, since }) {
      runtime.workerChanged("from-document");
      // A later start, after a crash say, is not to begin with states of long ago.
      await tellByFile(after, () => EMPTY_STATE_FILE);
      const followUp = await runtime.catchUp(since);
      const caughtUp = touchedServers(since.flatMap((edit) => edit.servers));
      const changes = givenBack(old, finderWithout(before, mergeTouched([untold, caughtUp])), finder(after));
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
