import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/** Ends a process of ours with a signal, by force when it is still there after `graceMs`, and waits until it is gone. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill(signal);
  const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
  await exited;
  clearTimeout(timer);
}
