import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { delimiter, join } from "node:path";
import process from "node:process";
import { root, tools } from "./programs.ts";
import { waitFor } from "./wait.ts";

const TIMEOUT_MS = 60_000;

/** How a shell command ended, or how far it is. */
export interface ShellRun {
  /** Undefined while it runs, null when a signal ended it. */
  readonly code: number | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** A shell command that runs. */
export interface ShellCommand extends ShellRun {
  /** Resolves when it has ended. */
  readonly ended: Promise<ShellRun>;
  /** Waits until its standard output has this; fails when it ends before, or after a minute. */
  until(pattern: RegExp): Promise<void>;
  /** What Ctrl-C does: a signal to all of it. Waits until it has ended. */
  interrupt(): Promise<ShellRun>;
}

/** The environment of a person in the checkout: our programs first on PATH, no settings of haplane. */
export function shellEnvironment(
  extra: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const path = [join(root, "node_modules", ".bin"), join(tools, "bin"), process.env.PATH ?? ""];
  const env = Object.entries(process.env).filter(([name]) => !/^(HAPLANE_|NODE_TEST_)/.test(name));
  return { ...(Object.fromEntries(env) as Record<string, string>), ...extra, PATH: path.join(delimiter) };
}

/** Runs a script under `sh -e` in the root of the checkout, and waits until it has ended; what it left in the background goes on until `leftOvers` are ended. */
export async function runInShell(
  script: string,
  env: Readonly<Record<string, string>> = shellEnvironment(),
): Promise<ShellRun & { readonly leftOvers: () => void }> {
  const { child, state } = spawnShell(script, env);
  // Not "close": something in the background may hold the streams.
  const ended = once(child, "exit");
  const timer = setTimeout(() => signalGroup(child, "SIGKILL"), TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
  return { ...state(), leftOvers: () => signalGroup(child, "SIGKILL") };
}

/** Starts a script in the same way, and does not wait for its end. */
export function startInShell(
  script: string,
  env: Readonly<Record<string, string>> = shellEnvironment(),
): ShellCommand {
  const { child, state } = spawnShell(script, env);
  const closed = once(child, "close");
  return {
    ended: closed.then(state),
    get code() {
      return state().code;
    },
    get stdout() {
      return state().stdout;
    },
    get stderr() {
      return state().stderr;
    },
    async until(pattern) {
      await waitFor(
        `${pattern} from: ${script}`,
        () => state().code !== undefined || pattern.test(state().stdout),
        {
          timeoutMs: TIMEOUT_MS,
        },
      );
      const { stdout, stderr } = state();
      if (!pattern.test(stdout)) throw new Error(`"${script}" ended without ${pattern}: ${stdout}${stderr}`);
    },
    async interrupt() {
      signalGroup(child, "SIGINT");
      const timer = setTimeout(() => signalGroup(child, "SIGKILL"), TIMEOUT_MS);
      await closed;
      clearTimeout(timer);
      return state();
    },
  };
}

function spawnShell(script: string, env: Readonly<Record<string, string>>) {
  const child = spawn("sh", ["-ec", script], {
    cwd: root,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  const code = () => (child.signalCode !== null ? null : (child.exitCode ?? undefined));
  return { child, state: (): ShellRun => ({ code: code(), stdout, stderr }) };
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // Nothing of it is left.
  }
}
