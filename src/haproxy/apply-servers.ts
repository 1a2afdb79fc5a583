import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createBackoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import { type Answer, isRefusal, refusal } from "./answer.ts";
import type { CallOptions } from "./call-options.ts";
import { encodeCommand } from "./command.ts";
import type { AddServer, DeleteServer, ServerChange, ServerOutcome, SetServer } from "./server-change.ts";
import { resolveServerWords } from "./server-words.ts";

/** Sends one encoded command to the worker. */
export type RunCommand = (line: string, options: CallOptions) => Promise<Answer>;

/** How long a server may take to become unused when the change does not say. */
const DEFAULT_DRAIN_MS = 30_000;

/** How long sessions may take to end once HAProxy has been told to end them. */
const SHUTDOWN_MS = 5_000;

/** What HAProxy allows in names of proxies and servers. */
const NAME = /^[A-Za-z0-9._:-]+$/;

/** What `set server … addr` prints when it has done what it was told; it says failures with the same severity. */
const ADDRESS_SET = /changed from|no need to change/;

/** Why `del server` fails for now: there are connections or requests left. */
const IN_USE = /still has|attached to it|has connections/i;

/** Applies changes; see `Runtime.applyServers`. */
export function applyServers(
  run: RunCommand,
  clock: Clock,
  changes: readonly ServerChange[],
  options: CallOptions,
): Promise<readonly ServerOutcome[]> {
  const lastOfServer = new Map<string, Promise<unknown>>();
  const outcomes = changes.map((change) => {
    const key = `${change.backend}/${change.server}`;
    const before = lastOfServer.get(key);
    const outcome = before === undefined ? settle(change) : before.then(() => settle(change));
    lastOfServer.set(key, outcome);
    return outcome;
  });
  return Promise.all(outcomes);

  async function settle(change: ServerChange): Promise<ServerOutcome> {
    try {
      return { ok: true, workerPid: await applyOne(change) };
    } catch (error) {
      if (error instanceof DomainError) return { ok: false, error };
      throw error;
    }
  }

  function applyOne(change: ServerChange): Promise<number> {
    assertName("backend", change.backend);
    assertName("server", change.server);
    if (change.kind === "add") return addServer(run, change, options);
    if (change.kind === "set") return setServer(run, change, options);
    return deleteServer(run, clock, change, options);
  }
}

async function addServer(run: RunCommand, change: AddServer, options: CallOptions): Promise<number> {
  const name = `${change.backend}/${change.server}`;
  const { words, check, agentCheck, disabled } = resolveServerWords(change.words);
  const state = change.state ?? (disabled ? "maint" : "ready");
  const command = (...all: string[]) => must(run, all, options);
  const added = await command(
    "add",
    "server",
    name,
    formatServerAddress(change.address, change.port),
    ...words,
  );
  try {
    // HAProxy adds a server in maintenance, with its checks off. Sent together, since each can only follow the one before.
    await Promise.all([
      ...(check ? [command("enable", "health", name)] : []),
      ...(agentCheck ? [command("enable", "agent", name)] : []),
      ...(state === "maint" ? [] : [command("set", "server", name, "state", state)]),
    ]);
  } catch (error) {
    // Half a server is none; the error of above is what counts.
    await Promise.allSettled([
      command("set", "server", name, "state", "maint"),
      command("del", "server", name),
    ]);
    throw error;
  }
  return added.workerPid;
}

async function setServer(run: RunCommand, change: SetServer, options: CallOptions): Promise<number> {
  const name = `${change.backend}/${change.server}`;
  const commands: string[][] = [];
  if (change.address !== undefined) {
    if (isIP(change.address) === 0) throw invalid("address", "must be an IPv4 or IPv6 address");
    const port = change.port === undefined ? [] : ["port", String(change.port)];
    commands.push(["addr", change.address, ...port]);
  } else if (change.port !== undefined) {
    throw invalid("port", "needs the address beside it");
  }
  if (change.weight !== undefined) commands.push(["weight", String(change.weight)]);
  if (change.health !== undefined) commands.push(["health", change.health]);
  if (change.agent !== undefined) commands.push(["agent", change.agent]);
  if (change.state !== undefined) commands.push(["state", change.state]);
  let workerPid = 0;
  // One after the other: a server must not become ready when its address was refused.
  for (const words of commands) {
    const answer = await must(run, ["set", "server", name, ...words], options);
    if (words[0] === "addr" && !ADDRESS_SET.test(answer.text))
      throw refusal(`set server ${name} addr`, answer);
    workerPid = answer.workerPid;
  }
  return workerPid;
}

async function deleteServer(
  run: RunCommand,
  clock: Clock,
  change: DeleteServer,
  options: CallOptions,
): Promise<number> {
  const name = `${change.backend}/${change.server}`;
  const drainMs = change.drainMs ?? DEFAULT_DRAIN_MS;
  // An agent that says "up" would take the server out of maintenance again.
  await Promise.all([
    must(run, ["disable", "agent", name], options),
    must(run, ["set", "server", name, "state", "maint"], options),
  ]);
  const deleted = await deleteWhenUnused(run, clock, name, drainMs, options);
  if (deleted !== undefined) return deleted;
  if (change.shutdownSessions) {
    await must(run, ["shutdown", "sessions", "server", name], options);
    const afterShutdown = await deleteWhenUnused(run, clock, name, SHUTDOWN_MS, options);
    if (afterShutdown !== undefined) return afterShutdown;
  }
  throw new DomainError(
    "TIMED_OUT",
    `Server ${name} still has connections after ${drainMs} ms; it is in maintenance and still there.`,
    { metadata: { drainMs: String(drainMs) } },
  );
}

/** Tries `del server` until HAProxy takes it, for as long as connections are what it minds. Undefined when time is over. */
async function deleteWhenUnused(
  run: RunCommand,
  clock: Clock,
  name: string,
  withinMs: number,
  options: CallOptions,
): Promise<number | undefined> {
  const end = clock.monotonic() + withinMs;
  const pause = createBackoff({ firstMs: 20, maxMs: 250 });
  for (;;) {
    const answer = await run(encodeCommand(["del", "server", name]), options);
    if (!isRefusal(answer)) return answer.workerPid;
    if (!IN_USE.test(answer.text)) throw refusal(`del server ${name}`, answer);
    const left = end - clock.monotonic();
    if (left <= 0) return undefined;
    await pauseFor(Math.min(pause.next(), left), options.signal);
  }
}

async function pauseFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    throw new DomainError("CANCELLED", "The call was cancelled.", { cause: error });
  }
}

/** Sends a command and throws what HAProxy refuses. */
async function must(run: RunCommand, words: readonly string[], options: CallOptions): Promise<Answer> {
  const answer = await run(encodeCommand(words), options);
  if (isRefusal(answer)) throw refusal(words.slice(0, 3).join(" "), answer);
  return answer;
}

/** `ADDRESS:PORT` as HAProxy reads it. */
function formatServerAddress(address: string, port: number): string {
  if (/^(?:unix|abns)@./.test(address)) return address;
  const family = isIP(address);
  if (family === 0) throw invalid("address", "must be an IPv4 or IPv6 address, or unix@PATH");
  if (port === 0) return address;
  return family === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

function assertName(field: string, name: string): void {
  if (!NAME.test(name)) throw invalid(field, "is made of A-Z a-z 0-9 . _ : and - only");
}

function invalid(field: string, description: string): DomainError {
  return new DomainError("FIELD_INVALID", `${field} ${description}.`, {
    violations: [{ field, description }],
  });
}
