import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { root } from "./programs.ts";

/** What a command of haplane answered. */
export interface Answer {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

/** Runs a command of haplane that ends by itself. */
export function runHaplane(args: readonly string[], env: Readonly<Record<string, string>> = {}): Answer {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "src", "main.ts"), ...args], {
    encoding: "utf8",
    env: { ...process.env, ...env },
    timeout: 60_000,
    // One that hangs may not take the signal.
    killSignal: "SIGKILL",
  });
  return { code: status, out: stdout, error: stderr };
}
