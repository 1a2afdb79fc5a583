import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import { type LogMessage, parseLogMessages } from "./log-messages.ts";
import type { ManagedProcess } from "./managed-process.ts";
import { isRefused } from "./master-client.ts";
import type { Down, ProcessState, Running } from "./process-state.ts";
import type { Supervisor } from "./supervisor.ts";

/** How a reload ended. */
export type ReloadOutcome =
  /** A new worker runs the new configuration. */
  | {
      readonly kind: "succeeded";
      readonly workerPid: number;
      readonly oldWorkerPids: readonly number[];
      readonly messages: readonly LogMessage[];
      readonly tookMs: number;
    }
  /** HAProxy refused the configuration; the worker of before serves on. */
  | {
      readonly kind: "refused";
      readonly messages: readonly LogMessage[];
      readonly log: string;
      readonly tookMs: number;
    }
  /** The master died of it: nothing serves until it is started again. */
  | {
      readonly kind: "master_lost";
      readonly messages: readonly LogMessage[];
      readonly log: string;
      readonly tookMs: number;
    }
  /** No end was seen within the deadline; what runs is unknown. */
  | { readonly kind: "timed_out"; readonly log: string; readonly tookMs: number };

/** How a reload ended, before its log is read. */
type End =
  | { readonly kind: "succeeded"; readonly workerPid: number; readonly oldWorkerPids: readonly number[] }
  | { readonly kind: "refused" | "master_lost" | "timed_out" };

/** How long the master's answer is waited for once the end has been seen without it. */
const ANSWER_GRACE_MS = 2_000;

/**
 * Reloads a HAProxy that runs, and reads that to its end; a managed one that is down is started from its files, which comes to the same. The master's word (from 2.7 on) that a configuration was refused is final; that
 * it was taken counts when the new worker accepts connections, for 3.0 calls a worker that dies at its start a success.
 *
 * Throws `HAPROXY_UNAVAILABLE` when the master cannot be asked; then nothing was reloaded.
 */
export async function reload(
  supervisor: Supervisor,
  clock: Clock,
  timeoutMs: number,
): Promise<ReloadOutcome> {
  // One that is being started reads the files as they were a moment ago.
  if (supervisor.state.kind === "starting" && supervisor.managed !== undefined) await supervisor.start();
  const before = supervisor.state;
  if (before.kind === "down" && supervisor.managed !== undefined)
    return startAgain(supervisor, supervisor.managed, before, clock, timeoutMs);
  if (before.kind !== "running") throw unavailable(`it is ${before.kind}`);
  const started = clock.monotonic();
  const logFile = supervisor.managed?.log;
  const logFrom = logFile?.size() ?? 0;
  const asking = new AbortController();
  const watch = watchForEnd(supervisor, clock, before, timeoutMs);
  try {
    const answer = await Promise.race([
      askMaster(supervisor, asking.signal),
      watch.ended.then(
        () => new Promise<string>((resolve) => clock.after(ANSWER_GRACE_MS, () => resolve(""))),
      ),
    ]);
    const [, word, startupLog = ""] = /^Success=([01])\n--\n(.*)$/s.exec(answer) ?? [];
    if (word === "0") watch.end({ kind: "refused" });
    const end = await watch.ended;
    const log = word === undefined ? (logFile?.readFrom(logFrom) ?? "") : startupLog.trimEnd();
    const tookMs = clock.monotonic() - started;
    if (end.kind === "timed_out") return { kind: "timed_out", log, tookMs };
    // The old worker takes its leave in the same log.
    const messages = parseLogMessages(log, before.workerPid);
    return end.kind === "succeeded"
      ? { ...end, messages, tookMs }
      : { kind: end.kind, messages, log, tookMs };
  } finally {
    watch.end({ kind: "timed_out" });
    asking.abort();
  }
}

async function startAgain(
  supervisor: Supervisor,
  { log: logFile }: ManagedProcess,
  before: Down,
  clock: Clock,
  timeoutMs: number,
): Promise<ReloadOutcome> {
  const started = clock.monotonic();
  const logFrom = logFile.size();
  const late = Promise.withResolvers<"late">();
  const stopTimer = clock.after(timeoutMs, () => late.resolve("late"));
  try {
    for (;;) {
      const settled = await Promise.race([supervisor.start(), late.promise]);
      const { state } = supervisor;
      // A look that was under way tells of the end before, not of this start.
      if (settled !== "late" && state.kind === "down" && state.since === before.since) continue;
      const [log, tookMs] = [logFile.readFrom(logFrom), clock.monotonic() - started];
      const messages = parseLogMessages(log);
      if (state.kind === "running")
        return { kind: "succeeded", workerPid: state.workerPid, oldWorkerPids: [], messages, tookMs };
      if (settled === "late") return { kind: "timed_out", log, tookMs };
      return { kind: "master_lost", messages, log, tookMs };
    }
  } finally {
    stopTimer();
  }
}

/** What the master says; nothing when the connection is cut, for it may have reloaded nevertheless. */
async function askMaster(supervisor: Supervisor, signal: AbortSignal): Promise<string> {
  try {
    return await supervisor.master.reload(signal);
  } catch (error) {
    if (isRefused(error)) throw unavailable((error as Error).message);
    return "";
  }
}

/** Looks for the end until there is one, the time is over, or somebody else says what it is. */
function watchForEnd(
  supervisor: Supervisor,
  clock: Clock,
  before: Running,
  timeoutMs: number,
): { readonly ended: Promise<End>; end(how: End): void } {
  const { promise, resolve } = Promise.withResolvers<End>();
  const stopTimer = clock.after(timeoutMs, () => end({ kind: "timed_out" }));
  const stopWatching = supervisor.onLook(() => {
    const seen = endSeen(before, supervisor.state);
    if (seen !== undefined) end(seen);
  });
  return { ended: promise, end };

  function end(how: End): void {
    stopTimer();
    stopWatching();
    resolve(how);
  }
}

/** The end of a reload as it shows in the state. */
function endSeen(before: Running, now: ProcessState): End | undefined {
  if (now.kind !== "running") return { kind: "master_lost" };
  if (now.masterPid !== before.masterPid) return { kind: "master_lost" };
  if (now.workerPid !== before.workerPid) {
    return { kind: "succeeded", workerPid: now.workerPid, oldWorkerPids: now.oldWorkerPids };
  }
  if (now.reloads > before.reloads && now.failedReloads > 0) return { kind: "refused" };
  return undefined;
}

function unavailable(why: string): DomainError {
  return new DomainError("HAPROXY_UNAVAILABLE", `HAProxy cannot be asked to reload: ${why}.`, {
    retryAfterMs: 1_000,
    metadata: { outcome: "not_sent" },
  });
}
