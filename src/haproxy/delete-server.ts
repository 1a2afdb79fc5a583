import { setTimeout as sleep } from "node:timers/promises";
import { createBackoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import { type Answer, isRefusal, refusal } from "./answer.ts";
import type { CallOptions } from "./call-options.ts";
import { encodeCommand } from "./command.ts";
import type { CommandQueue } from "./command-queue.ts";
import type { OneWorker } from "./one-worker.ts";
import type { DeleteServer } from "./server-change.ts";

/** How long a server may take to become unused when the change does not say. */
const DEFAULT_DRAIN_MS = 30_000;

/** How long sessions may take to end once HAProxy has been told to end them. */
const SHUTDOWN_MS = 5_000;

/** Pauses between attempts to delete a server that is still in use, and between those to free it of idle connections. */
const RETRY_MS = { firstMs: 20, maxMs: 250 };
const RELEASE_MS = { firstMs: 20, maxMs: 2_000 };

/** Why `del server` fails for now: there are connections or requests left. */
const IN_USE = /still has|attached to it|has connections/i;

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

/** What became of a deletion that was tried once. */
export type TriedDeletion =
  | { readonly kind: "deleted"; readonly pid: number }
  | { readonly kind: "failed"; readonly error: DomainError }
  /** The server is in maintenance in this worker, and has connections. */
  | { readonly kind: "in-use"; readonly pid: number }
  /** A reload came between the commands. */
  | { readonly kind: "worker-changed" };

/** What a deletion waits with. */
interface DeletionOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
  /** Throws when nobody wants it any more. */
  readonly requireWanted: (change: DeleteServer) => void;
}

/** Takes a server out of rotation and tries to delete it: mostly nobody uses it, and then nothing has to be waited for. Costs no promise, since thousands may leave together. */
export function tryDeletion(
  queue: Pick<CommandQueue, "send">,
  change: DeleteServer,
  options: CallOptions,
  tried: (outcome: TriedDeletion) => void,
): void {
  const name = `${change.backend}/${change.server}`;
  let first: Answer | DomainError | undefined;
  // The answers come in the order of the commands.
  const take = (answer: Answer | DomainError) => {
    if (first === undefined) first = answer;
    else tried(judge(name, first, answer));
  };
  const sender = { answered: take, failed: take };
  for (const words of removalCommands(change).first) queue.send(encodeCommand(words), options, sender);
}

function judge(
  name: string,
  maintenance: Answer | DomainError,
  deletion: Answer | DomainError,
): TriedDeletion {
  if (maintenance instanceof DomainError) return { kind: "failed", error: maintenance };
  if (deletion instanceof DomainError) return { kind: "failed", error: deletion };
  const pid = deletion.workerPid;
  if (pid !== maintenance.workerPid) return { kind: "worker-changed" };
  if (isRefusal(maintenance)) return { kind: "failed", error: refusal(`set server ${name}`, maintenance) };
  try {
    return { kind: isInUse(name, deletion) ? "in-use" : "deleted", pid };
  } catch (error) {
    return { kind: "failed", error: error as DomainError };
  }
}

/** Takes a server out of rotation and deletes it, when it has become unused. */
export async function deleteServer(
  worker: OneWorker,
  change: DeleteServer,
  options: DeletionOptions,
): Promise<void> {
  const name = `${change.backend}/${change.server}`;
  const [maint, deletion] = removalCommands(change).first;
  const [, deleted] = await Promise.all([worker.tell(...maint), worker.ask(...deletion)]);
  if (isInUse(name, deleted)) await deleteWhenUnused(worker, change, options);
}

/** Deletes a server that is in maintenance, when it has become unused. */
export async function deleteWhenUnused(
  worker: OneWorker,
  change: DeleteServer,
  { clock, signal, requireWanted }: DeletionOptions,
): Promise<void> {
  const name = `${change.backend}/${change.server}`;
  const {
    first: [, deletion],
    inUse,
    drainMs,
    overdue,
  } = removalCommands(change);
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

  /** Tries until HAProxy takes it, for as long as connections are what it minds. False when the time is over. */
  async function deleteWithin(ms: number): Promise<boolean> {
    const end = clock.monotonic() + ms;
    const pause = createBackoff(RETRY_MS);
    const release = createBackoff(RELEASE_MS);
    let releaseAt = clock.monotonic() + release.next();
    for (;;) {
      if (!isInUse(name, await worker.ask(...deletion))) return true;
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

/** False when the server is gone; throws a refusal that time does not change. */
function isInUse(name: string, answer: Answer): boolean {
  if (!isRefusal(answer)) return false;
  if (IN_USE.test(answer.text)) return true;
  throw refusal(`del server ${name}`, answer);
}

async function pauseFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    throw new DomainError("CANCELLED", "The call was cancelled.", { cause: error });
  }
}
