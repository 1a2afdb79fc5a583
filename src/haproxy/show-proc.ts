/** A process in the master's list. */
export interface ListedProcess {
  readonly pid: number;
  /** Reloads that it has lived through. */
  readonly reloads: number;
  readonly uptimeSeconds: number;
  /** As printed; each worker may run another version. */
  readonly version: string;
}

/** The answer to `show proc` (management guide, section 9.4). */
export interface ProcessList {
  readonly master: ListedProcess;
  /** Reloads that failed since the last one that did not. */
  readonly failedReloads: number;
  /** Workers of the present configuration: one, or none after a failed reload on 3.1 and later. */
  readonly workers: readonly ListedProcess[];
  /** Workers of earlier configurations that have not ended. */
  readonly oldWorkers: readonly ListedProcess[];
}

const ROW = /^(\d+)\s+(\S+)\s+(\d+)(?: \[failed: (\d+)\])?\s+(\d+)d(\d+)h(\d+)m(\d+)s\s*(\S*)/;

/** Reads the answer to `show proc`, in the formats of 2.6 to 3.2. Undefined when there is no master in it. */
export function parseShowProc(answer: string): ProcessList | undefined {
  let master: ListedProcess | undefined;
  let failedReloads = 0;
  const workers: ListedProcess[] = [];
  const oldWorkers: ListedProcess[] = [];
  let section: ListedProcess[] | undefined = workers;
  for (const line of answer.split("\n")) {
    if (line.startsWith("# old workers")) section = oldWorkers;
    else if (line.startsWith("# workers")) section = workers;
    // Programs, and whatever a later version lists.
    else if (line.startsWith("# ")) section = undefined;
    const row = ROW.exec(line);
    if (row === null) continue;
    const [, pid, type, reloads, failed, days, hours, minutes, seconds, version = ""] = row;
    const process: ListedProcess = {
      pid: Number(pid),
      reloads: Number(reloads),
      uptimeSeconds: ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds),
      version,
    };
    if (type === "master") {
      master = process;
      failedReloads = Number(failed ?? 0);
    } else {
      section?.push(process);
    }
  }
  return master === undefined ? undefined : { master, failedReloads, workers, oldWorkers };
}

/**
 * The worker that accepts connections, or will in a moment: the present one, or after a failed reload on 3.1 and later, the youngest
 * of the old ones, which goes on.
 */
export function acceptingWorker({
  workers,
  oldWorkers,
  failedReloads,
}: ProcessList): ListedProcess | undefined {
  const [present] = workers;
  if (present !== undefined || failedReloads === 0) return present;
  return oldWorkers.toSorted((a, b) => a.reloads - b.reloads)[0];
}
