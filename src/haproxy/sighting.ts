import type { MasterAnswer } from "./master-client.ts";
import type { Running } from "./process-state.ts";
import { acceptingWorker, type ListedProcess, type ProcessList } from "./show-proc.ts";
import { parseVersion } from "./version.ts";

/** Who answers the stats socket. */
export type WorkerAnswer =
  | { readonly kind: "worker"; readonly pid: number }
  | { readonly kind: "none"; readonly refused: boolean; readonly reason: string };

/** What one look at HAProxy shows. */
export type Verdict =
  /** A worker accepts: `now` is what runs. */
  | { readonly kind: "running"; readonly now: Omit<Running, "kind" | "since"> }
  /** The master is busy, or a new worker gets ready, and the worker of before may still serve: look again soon. */
  | {
      readonly kind: "changing";
      /** What runs if the master is right, when it says so and no worker has proved it. */
      readonly unproved?: Omit<Running, "kind" | "since">;
    }
  /** The master answers, and no worker accepts. */
  | { readonly kind: "no_worker"; readonly reason: string }
  /** Neither answers; `refused` when nobody even listens. */
  | { readonly kind: "gone"; readonly refused: boolean; readonly reason: string };

/**
 * Judges a look at HAProxy. The master knows first which worker is meant to accept; the stats socket proves that it does, and is
 * asked only where the two may differ.
 */
export async function judge(
  before: Running | undefined,
  master: MasterAnswer,
  askWorker: (expectedPid: number | undefined) => Promise<WorkerAnswer>,
): Promise<Verdict> {
  if (master.kind !== "processes") {
    const worker = await askWorker(undefined);
    if (worker.kind === "worker") return { kind: "changing" };
    const refused = master.kind === "refused" && worker.refused;
    return { kind: "gone", refused, reason: `${master.reason}; ${worker.reason}` };
  }
  const accepting = acceptingWorker(master.list);
  if (accepting === undefined)
    return { kind: "no_worker", reason: "no worker of HAProxy accepts connections" };
  const now = toRunning(master.list, accepting);
  if (now === undefined)
    return { kind: "no_worker", reason: `"${accepting.version}" is no version of HAProxy` };
  if (accepting.pid === before?.workerPid) return { kind: "running", now };
  const worker = await askWorker(accepting.pid);
  const isProved = worker.kind === "worker" && worker.pid === accepting.pid;
  return isProved ? { kind: "running", now } : { kind: "changing", unproved: now };
}

function toRunning(list: ProcessList, accepting: ListedProcess): Omit<Running, "kind" | "since"> | undefined {
  const version = parseVersion(accepting.version);
  if (version === undefined) return undefined;
  return {
    version,
    masterPid: list.master.pid,
    workerPid: accepting.pid,
    reloads: list.master.reloads,
    failedReloads: list.failedReloads,
    oldWorkerPids: list.oldWorkers.filter(({ pid }) => pid !== accepting.pid).map(({ pid }) => pid),
  };
}
