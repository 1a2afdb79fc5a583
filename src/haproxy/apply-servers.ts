import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createBackoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import { type Answer, isRefusal, refusal } from "./answer.ts";
import type { CallOptions } from "./call-options.ts";
import { OneWorker, type RunCommand, WORKER_CHANGED } from "./one-worker.ts";
import type { AddServer, DeleteServer, ServerChange, ServerOutcome, SetServer } from "./server-change.ts";
import { resolveServerWords } from "./server-words.ts";

/** How long a server may take to become unused when the change does not say. */
const DEFAULT_DRAIN_MS = 30_000;

/** How long sessions may take to end once HAProxy has been told to end them. */
const SHUTDOWN_MS = 5_000;

/** Pauses between attempts to delete a server that is still in use, and between those to free it of idle connections. */
const RETRY_MS = { firstMs: 20, maxMs: 250 };
const RELEASE_MS = { firstMs: 20, maxMs: 2_000 };

/** How often a change begins anew because a reload came between its commands. */
const MAX_ATTEMPTS = 5;

/**
 * What a server of the file has unless it says otherwise. `add server` of HAProxy 2.6 forgets it: the server would keep no idle connections, and every request would
 * open a new one.
 */
const DEFAULT_WORDS = ["pool-purge-delay", "5s", "pool-max-conn", "-1"];

/** What HAProxy allows in names of proxies and servers. */
const NAME = /^[A-Za-z0-9._:-]+$/;

/** What `set server … addr` prints when it has done what it was told; it says failures with the same severity. */
const ADDRESS_SET = /changed from|no need to change|nothing changed/;

/** Why `del server` fails for now: there are connections or requests left. */
const IN_USE = /still has|attached to it|has connections/i;

/** What those who apply changes may want to say and to know. */
export interface ApplyOptions extends CallOptions {
  /** Told of each change as soon as it is settled, which may be long before the last one is. */
  readonly onOutcome?: (index: number, outcome: ServerOutcome) => void;
  /** Asked before a deletion is tried again, be it because its server is still in use or because the worker is another one by now. Where it says false the deletion ends with `CANCELLED`. Default: always true. */
  readonly isWanted?: (change: DeleteServer) => boolean;
}

/** Applies changes; see `Runtime.applyServers`. */
export function applyServers(
  run: RunCommand,
  clock: Clock,
  changes: readonly ServerChange[],
  { onOutcome, isWanted, ...options }: ApplyOptions,
): Promise<readonly ServerOutcome[]> {
  const lastOfServer = new Map<string, Promise<unknown>>();
  const outcomes = changes.map(async (change, index) => {
    const key = `${change.backend}/${change.server}`;
    const before = lastOfServer.get(key);
    const outcome = before === undefined ? settle(change) : before.then(() => settle(change));
    lastOfServer.set(key, outcome);
    const settled = await outcome;
    onOutcome?.(index, settled);
    return settled;
  });
  return Promise.all(outcomes);

  async function settle(change: ServerChange): Promise<ServerOutcome> {
    try {
      return { ok: true, workerPid: await applyOne(change) };
    } catch (error) {
      if (error instanceof DomainError) return { ok: false, error: aboutResource(change, error) };
      throw error;
    }
  }

  async function applyOne(change: ServerChange): Promise<number> {
    assertName("backend", change.backend);
    assertName("server", change.server);
    for (let attempt = 1; ; attempt += 1) {
      const worker = new OneWorker(run, options);
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
    return deleteServer(worker, change, { clock, signal: options.signal, requireWanted });
  }

  function requireWanted(change: ServerChange): void {
    if (change.kind !== "delete" || isWanted === undefined || isWanted(change)) return;
    throw new DomainError("CANCELLED", `server ${change.backend}/${change.server} is to be there again`);
  }
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

/** What removes a server, as words: the commands that are sent at once, those that are sent as long as it has connections, and how those are ended that are left when the time is over. */
export interface RemovalCommands {
  readonly first: readonly [maint: readonly string[], deletion: readonly string[]];
  readonly inUse: readonly (readonly string[])[];
  readonly drainMs: number;
  /** Undefined: the server stays, in maintenance. */
  readonly overdue: readonly string[] | undefined;
}

/** The commands of a removal. */
export function removalCommands({
  backend,
  server,
  drainMs = DEFAULT_DRAIN_MS,
  shutdownSessions = false,
}: DeleteServer): RemovalCommands {
  const name = `${backend}/${server}`;
  const maint = ["set", "server", name, "state", "maint"];
  return {
    first: [maint, ["del", "server", name]],
    // An agent that says "up" would take the server out of maintenance again.
    inUse: [["disable", "agent", name], maint],
    drainMs,
    overdue: shutdownSessions ? ["shutdown", "sessions", "server", name] : undefined,
  };
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

async function setServer(worker: OneWorker, change: SetServer): Promise<void> {
  const name = `${change.backend}/${change.server}`;
  const { address, port, weight, health, agent, state } = change;
  // One after the other: a server must not become ready when its address was refused.
  if (address !== undefined) {
    if (isIP(address) === 0) throw invalid("address", "must be an IPv4 or IPv6 address");
    if (port !== undefined) assertPort(port);
    const words = [
      "set",
      "server",
      name,
      "addr",
      address,
      ...(port === undefined ? [] : ["port", String(port)]),
    ];
    const answer = await worker.tell(...words);
    if (!ADDRESS_SET.test(answer.text)) throw refusal(`set server ${name}`, answer);
  } else if (port !== undefined) {
    throw invalid("port", "needs the address beside it");
  }
  for (const [what, on] of Object.entries({ health: change.checks, agent: change.agentChecks }))
    if (on !== undefined) await worker.tell(on ? "enable" : "disable", what, name);
  for (const [what, value] of Object.entries({ weight, health, agent, state })) {
    if (value !== undefined) await worker.tell("set", "server", name, what, String(value));
  }
}

/** What a deletion waits with. */
interface DeletionOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
  /** Throws when nobody wants it any more. */
  readonly requireWanted: (change: DeleteServer) => void;
}

async function deleteServer(
  worker: OneWorker,
  change: DeleteServer,
  { clock, signal, requireWanted }: DeletionOptions,
): Promise<void> {
  const name = `${change.backend}/${change.server}`;
  const {
    first: [maint, deletion],
    inUse,
    drainMs,
    overdue,
  } = removalCommands(change);
  // Mostly nobody uses it, and then nothing has to be waited for.
  const [, deleted] = await Promise.all([worker.tell(...maint), worker.ask(...deletion)]);
  if (!mustWait(deleted)) return;
  await Promise.all(inUse.map((words) => worker.tell(...words)));
  if (await deleteWithin(drainMs)) return;
  if (overdue !== undefined) {
    await worker.tell(...overdue);
    if (await deleteWithin(SHUTDOWN_MS)) return;
  }
  throw new DomainError(
    "TIMED_OUT",
    `Server ${name} still has connections after ${drainMs} ms; it is in maintenance and still there.`,
    { metadata: { drainMs: String(drainMs) } },
  );

  /** False when the server is gone; throws a refusal that time does not change. */
  function mustWait(answer: Answer): boolean {
    if (!isRefusal(answer)) return false;
    if (IN_USE.test(answer.text)) return true;
    throw refusal(`del server ${name}`, answer);
  }

  /** Tries until HAProxy takes it, for as long as connections are what it minds. False when the time is over. */
  async function deleteWithin(ms: number): Promise<boolean> {
    const end = clock.monotonic() + ms;
    const pause = createBackoff(RETRY_MS);
    const release = createBackoff(RELEASE_MS);
    let releaseAt = clock.monotonic() + release.next();
    for (;;) {
      if (!mustWait(await worker.ask(...deletion))) return true;
      const left = end - clock.monotonic();
      if (left <= 0) return false;
      if (clock.monotonic() >= releaseAt) {
        await releaseIdleConnections();
        releaseAt = clock.monotonic() + release.next();
      }
      await pauseFor(Math.min(pause.next(), left), signal);
      requireWanted(change);
    }
  }

  /**
   * A server that enters maintenance loses its idle connections, but a connection whose request ends after that becomes idle all the same, and HAProxy 2.6 then keeps
   * the server for several purge delays of 5 s. So it enters maintenance once more, coming from drain, in which nothing is balanced to it.
   */
  async function releaseIdleConnections(): Promise<void> {
    await Promise.all([
      worker.tell("set", "server", name, "state", "drain"),
      worker.tell("set", "server", name, "state", "maint"),
    ]);
  }
}

/** The error with the name of what is missing or there already. */
function aboutResource({ backend, server }: ServerChange, error: DomainError): DomainError {
  const { reason, message, metadata, cause } = error;
  if (reason !== "RESOURCE_NOT_FOUND" && reason !== "RESOURCE_EXISTS") return error;
  const resource =
    /backend/.test(metadata.output ?? "") && reason === "RESOURCE_NOT_FOUND"
      ? { type: "backend", name: `backends/${backend}` }
      : { type: "server", name: `backends/${backend}/servers/${server}` };
  return new DomainError(reason, message, { resource, metadata, cause });
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

async function pauseFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    throw new DomainError("CANCELLED", "The call was cancelled.", { cause: error });
  }
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

/** HAProxy keeps the lower 16 bits of a larger port, and says nothing. */
function assertPort(port: number): void {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw invalid("port", "must be 0 to 65535");
}

function assertName(field: string, name: string): void {
  if (!NAME.test(name)) throw invalid(field, "is made of A-Z a-z 0-9 . _ : and - only");
}

function invalid(field: string, description: string): DomainError {
  return new DomainError("FIELD_INVALID", `${field} ${description}.`, {
    violations: [{ field, description }],
  });
}
