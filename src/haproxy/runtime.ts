import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import { type Answer, isRefusal, refusal } from "./answer.ts";
import { type ApplyOptions, applyServers } from "./apply-servers.ts";
import type { CallOptions } from "./call-options.ts";
import { encodeCommand, encodePieceCommand } from "./command.ts";
import { type ProcessInfo, parseInfo } from "./info.ts";
import type { RunCommand } from "./one-worker.ts";
import { createPatternFiles, type PatternFiles } from "./pattern-files.ts";
import type { ServerChange, ServerOutcome } from "./server-change.ts";
import { parseServerStates, type ServerState, serverStatesIn } from "./server-states.ts";
import { createSslFiles, type SslFiles } from "./ssl-files.ts";
import { parseStatsTable, type StatsTable } from "./stats-table.ts";
import type { WorkerQueues } from "./worker-queues.ts";

/**
 * Typed commands to HAProxy's stats socket. Every call goes to the worker that accepts connections; all throw
 * `DomainError`: `HAPROXY_UNAVAILABLE` (no answer; the metadata `outcome` says `not_sent` or `unknown`),
 * `HAPROXY_REFUSED` (with HAProxy's words), `RESOURCE_NOT_FOUND`, `CANCELLED`. A command has 5 s unless the call says otherwise.
 */
export interface Runtime {
  /** `show info`. */
  info(options?: CallOptions): Promise<ProcessInfo>;
  /** `show stat`: frontends, backends, servers and listeners, with every column that HAProxy prints. */
  stats(options?: CallOptions): Promise<StatsTable>;
  /** `show servers state`, of one backend or of all. */
  serverStates(backend?: string, options?: StatesOptions): Promise<readonly ServerState[]>;
  /** The servers of all backends as they are now, in rows that are read later, as they are come to: for somebody who has no time to read them yet. */
  captureServerStates(options?: CallOptions): Promise<Iterable<ServerState>>;
  /**
   * Applies changes, pipelined; the outcome at index i belongs to change i. Changes of one server are made in order, and
   * a failure does not stop the others. Deletions wait for their server to become unused without holding anything up.
   * `timeoutMs` is for each command, not for the whole.
   */
  applyServers(changes: readonly ServerChange[], options?: ApplyOptions): Promise<readonly ServerOutcome[]>;
  /** Certificates, CA files, CRLs and crt-lists. */
  readonly sslFiles: SslFiles;
  /** Maps and ACL files. */
  readonly patternFiles: PatternFiles;
  /** A command that only reads, from words, each quoted; answers what HAProxy printed. */
  ask(words: readonly string[], options?: CallOptions): Promise<string>;
  /** A command that changes something, from words, each quoted; answers what HAProxy printed. */
  tell(words: readonly string[], options?: CallOptions): Promise<string>;
  /** One command from words, each quoted, with what is sent along with it, on a connection of its own; answers what HAProxy printed. */
  execute(words: readonly string[], options?: ExecuteOptions): Promise<string>;
}

/** How the states of servers are read. */
export interface StatesOptions extends CallOptions {
  /** Reads them behind the changes that were asked for before, without waiting for their answers. Default: beside them. */
  readonly behindChanges?: boolean;
}

/** A command of a user's. */
export interface ExecuteOptions extends CallOptions {
  /** Lines that follow the command; see `encodePieceCommand`. */
  readonly payload?: string;
}

/** Makes a runtime over queues that someone else aims at the worker. */
export function createRuntime(queues: WorkerQueues, clock: Clock): Runtime {
  const { changes, reads } = queues;
  async function read<T>(
    words: string[],
    parse: (answer: string, workerPid: number) => T | undefined,
    { behindChanges = false, ...options }: StatesOptions,
  ): Promise<T> {
    const answer = await (behindChanges ? changes : reads).run(encodeCommand(words), {
      ...options,
      readOnly: true,
    });
    const what = words.join(" ");
    if (isRefusal(answer)) throw refusal(what, answer);
    const parsed = parse(answer.text, answer.workerPid);
    if (parsed !== undefined) return parsed;
    throw new DomainError("HAPROXY_REFUSED", `HAProxy answers "${what}" with something else.`, {
      metadata: { output: answer.text.slice(0, 1_000) },
    });
  }

  const runChange: RunCommand = (line, each) => changes.run(line, each);
  const runRead: RunCommand = (line, each) => reads.run(line, { ...each, readOnly: true });
  return {
    sslFiles: createSslFiles(runChange, runRead),
    patternFiles: createPatternFiles(runChange, runRead),
    info: (options = {}) => read(["show", "info"], parseInfo, options),
    stats: (options = {}) => read(["show", "stat"], parseStatsTable, options),
    serverStates: (backend, options = {}) =>
      read(
        ["show", "servers", "state", ...(backend === undefined ? [] : [backend])],
        parseServerStates,
        options,
      ),
    captureServerStates: (options = {}) => read(["show", "servers", "state"], serverStatesIn, options),
    applyServers: (list, options = {}) => applyServers(changes, clock, list, options),
    ask: async (words, options = {}) =>
      accepted(words, await reads.run(encodeCommand(words), { ...options, readOnly: true })),
    tell: async (words, options = {}) => accepted(words, await changes.run(encodeCommand(words), options)),
    async execute(words, { payload, ...options } = {}) {
      const line = payload === undefined ? encodeCommand(words) : encodePieceCommand(words, payload);
      return accepted(words, await queues.exclusively((queue) => queue.run(line, options)));
    },
  };
}

/** What HAProxy printed. Throws what it refused; the words of the command may be secrets but for the first two. */
function accepted(words: readonly string[], answer: Answer): string {
  if (isRefusal(answer)) throw refusal(words.slice(0, 2).join(" "), answer);
  return answer.text;
}
