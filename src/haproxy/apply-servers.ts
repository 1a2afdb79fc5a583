import { isIP } from "node:net";
import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import type { CallOptions } from "./call-options.ts";
import type { CommandQueue } from "./command-queue.ts";
import { deleteServer, deleteWhenUnused, type TriedDeletion, tryDeletion } from "./delete-server.ts";
import { HAPROXY_NAME, isHaproxyName } from "./haproxy-name.ts";
import { OneWorker, type RunCommand, WORKER_CHANGED } from "./one-worker.ts";
import type { AddServer, DeleteServer, ServerChange, ServerOutcome } from "./server-change.ts";
import { resolveServerWords } from "./server-words.ts";
import { assertPort, invalid, setAtOnce, setServer } from "./set-server.ts";

/** How often a change begins anew because a reload came between its commands. */
const MAX_ATTEMPTS = 5;

/**
 * What a server of the file has unless it says otherwise. `add server` of HAProxy 2.6 forgets it: the server would keep no idle connections, and every request would
 * open a new one.
 */
const DEFAULT_WORDS = ["pool-purge-delay", "5s", "pool-max-conn", "-1"];

/** What those who apply changes may want to say and to know. */
export interface ApplyOptions extends CallOptions {
  /** Told of each change as soon as it is settled, which may be long before the last one is. */
  readonly onOutcome?: (index: number, outcome: ServerOutcome) => void;
  /** Asked before a deletion is tried again, be it because its server is still in use or because the worker is another one by now. Where it says false the deletion ends with `CANCELLED`. Default: always true. */
  readonly isWanted?: (change: DeleteServer) => boolean;
}

/** Applies changes; see `Runtime.applyServers`. */
export function applyServers(
  queue: Pick<CommandQueue, "run" | "send">,
  clock: Clock,
  changes: readonly ServerChange[],
  { onOutcome, isWanted, ...options }: ApplyOptions,
): Promise<readonly ServerOutcome[]> {
  const run: RunCommand = (line, each) => queue.run(line, each);
  const { promise, resolve, reject } = Promise.withResolvers<readonly ServerOutcome[]>();
  const outcomes: ServerOutcome[] = new Array(changes.length);
  let left = changes.length;
  const settle = (index: number, outcome: ServerOutcome) => {
    outcomes[index] = outcome;
    onOutcome?.(index, outcome);
    left -= 1;
    if (left === 0) resolve(outcomes);
  };
  const lastOfServer = new Map<string, Promise<ServerOutcome>>();
  const isEachOfItsOwn = new Set(changes.map(keyOf)).size === changes.length;
  for (const [index, change] of changes.entries()) {
    if (isEachOfItsOwn && beginAtOnce(index, change)) continue;
    const before = lastOfServer.get(keyOf(change));
    const outcome = before === undefined ? outcomeOf(change) : before.then(() => outcomeOf(change));
    if (!isEachOfItsOwn) lastOfServer.set(keyOf(change), outcome);
    outcome.then((settled) => settle(index, settled), reject);
  }
  if (changes.length === 0) resolve(outcomes);
  return promise;

  /** Sends what can be sent without steps. False, and nothing done, where there is none, or where something is wrong, which the steps say. */
  function beginAtOnce(index: number, change: ServerChange): boolean {
    if (!isHaproxyName(change.backend) || !isHaproxyName(change.server)) return false;
    if (change.kind === "set" && change.address === undefined && change.port === undefined)
      return setAtOnce(queue, change, options, (setting) =>
        settle(
          index,
          "error" in setting ? failed(change, setting.error) : { ok: true, workerPid: setting.pid },
        ),
      );
    if (change.kind !== "delete") return false;
    tryDeletion(queue, change, options, (tried) => {
      if (tried.kind === "deleted") settle(index, { ok: true, workerPid: tried.pid });
      else if (tried.kind === "failed") settle(index, failed(change, tried.error));
      else outcomeOf(change, tried).then((outcome) => settle(index, outcome), reject);
    });
    return true;
  }

  async function outcomeOf(change: ServerChange, tried?: TriedDeletion): Promise<ServerOutcome> {
    try {
      return { ok: true, workerPid: await applyOne(change, tried) };
    } catch (error) {
      if (error instanceof DomainError) return failed(change, error);
      throw error;
    }
  }

  async function applyOne(change: ServerChange, tried: TriedDeletion | undefined): Promise<number> {
    for (const field of ["backend", "server"] as const)
      if (!isHaproxyName(change[field])) throw invalid(field, HAPROXY_NAME);
    if (tried?.kind === "worker-changed") requireWanted(change);
    for (let attempt = tried?.kind === "worker-changed" ? 2 : 1; ; attempt += 1) {
      const worker = new OneWorker(run, options, attempt === 1 && tried?.kind === "in-use" ? tried.pid : 0);
      try {
        await take(worker, change);
        return worker.pid;
      } catch (error) {
        if (error === WORKER_CHANGED && attempt < MAX_ATTEMPTS) {
          requireWanted(change);
          continue;
        }
        // A change that was begun on a former worker may have reached the new one by way of its file.
        if (attempt > 1 && isInFile(change, error)) return worker.pid;
        throw error === WORKER_CHANGED ? tooManyReloads() : error;
      }
    }
  }

  function take(worker: OneWorker, change: ServerChange): Promise<void> {
    if (change.kind === "add") return addServer(worker, change);
    if (change.kind === "set") return setServer(worker, change);
    const waiting = { clock, signal: options.signal, requireWanted };
    // One that was tried in this worker is in maintenance.
    return worker.pid === 0
      ? deleteServer(worker, change, waiting)
      : deleteWhenUnused(worker, change, waiting);
  }

  function requireWanted(change: ServerChange): void {
    if (change.kind !== "delete" || isWanted === undefined || isWanted(change)) return;
    throw new DomainError("CANCELLED", `server ${change.backend}/${change.server} is to be there again`);
  }
}

function keyOf({ backend, server }: ServerChange): string {
  return `${backend}/${server}`;
}

function failed(change: ServerChange, error: DomainError): ServerOutcome {
  return { ok: false, error: aboutResource(change, error) };
}

/** The commands that add a server, as words: HAProxy adds it in maintenance, with its checks off, and those that follow the first end that. */
export function additionCommands(change: AddServer): readonly [readonly string[], ...(readonly string[])[]] {
  const name = `${change.backend}/${change.server}`;
  const { words, check, agentCheck, disabled } = resolveServerWords([...DEFAULT_WORDS, ...change.words]);
  const state = change.state ?? (disabled ? "maint" : "ready");
  return [
    ["add", "server", name, formatServerAddress(change.address, change.port), ...words],
    ...(check ? [["enable", "health", name]] : []),
    ...(agentCheck ? [["enable", "agent", name]] : []),
    ...(state === "maint" ? [] : [["set", "server", name, "state", state]]),
  ];
}

async function addServer(worker: OneWorker, change: AddServer): Promise<void> {
  const name = `${change.backend}/${change.server}`;
  const [addition, ...others] = additionCommands(change);
  await worker.tell(...addition);
  try {
    // Sent together; HAProxy keeps the order.
    await Promise.all(others.map((words) => worker.tell(...words)));
  } catch (error) {
    // Half a server is none; the error of above is what counts.
    if (error !== WORKER_CHANGED) {
      await Promise.allSettled([
        worker.ask("set", "server", name, "state", "maint"),
        worker.ask("del", "server", name),
      ]);
    }
    throw error;
  }
}

/** The error with the name of what is missing or there already. */
function aboutResource({ backend, server }: ServerChange, error: DomainError): DomainError {
  const { reason, metadata } = error;
  if (reason !== "RESOURCE_NOT_FOUND" && reason !== "RESOURCE_EXISTS") return error;
  const resource =
    /backend/.test(metadata.output ?? "") && reason === "RESOURCE_NOT_FOUND"
      ? { type: "backend", name: `backends/${backend}` }
      : { type: "server", name: `backends/${backend}/servers/${server}` };
  return error.with({ resource });
}

/** True when a change that began on another worker turns out to be in the file that the new one has read. */
function isInFile(change: ServerChange, error: unknown): boolean {
  if (!(error instanceof DomainError)) return false;
  if (change.kind === "add") return error.reason === "RESOURCE_EXISTS";
  return change.kind === "delete" && error.reason === "RESOURCE_NOT_FOUND";
}

function tooManyReloads(): DomainError {
  return new DomainError("HAPROXY_UNAVAILABLE", "HAProxy reloads too often for the change to be made.", {
    retryAfterMs: 1_000,
    metadata: { outcome: "unknown" },
  });
}

/** `ADDRESS:PORT` as HAProxy reads it. */
function formatServerAddress(address: string, port: number): string {
  if (/^(?:unix|abns)@./.test(address)) return address;
  const family = isIP(address);
  if (family === 0) throw invalid("address", "must be an IPv4 or IPv6 address, or unix@PATH");
  assertPort(port);
  if (port === 0) return address;
  return family === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}
