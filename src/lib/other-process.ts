import { kill } from "node:process";
import { setTimeout as delay } from "node:timers/promises";

const POLL_MS = 50;

/** Sends a signal to another process, 0 to see whether it is there. Returns whether it was delivered. */
export function signalProcess(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return kill(pid, signal);
  } catch {
    return false;
  }
}

/** Ends another process: SIGTERM, and SIGKILL when it is still there after `graceMs`. Resolves when it is gone or has been killed. */
export async function endProcess(pid: number, graceMs: number): Promise<void> {
  if (!signalProcess(pid, "SIGTERM")) return;
  const deadline = performance.now() + graceMs;
  while (signalProcess(pid, 0)) {
    if (performance.now() > deadline) {
      signalProcess(pid, "SIGKILL");
      return;
    }
    await delay(POLL_MS);
  }
}
