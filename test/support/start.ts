import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { endProcess, signalProcess } from "../../src/lib/other-process.ts";
import { freePort } from "./ports.ts";
import { root } from "./programs.ts";
import { waitFor } from "./wait.ts";

/** What `haplane start` prints when everything runs. */
const READY = "haplane is running.";
const READY_MS = 60_000;
const GRACE_MS = 15_000;

/** The ports of one `haplane start`, all of 127.0.0.1. */
export interface StartPorts {
  readonly grpc: number;
  readonly connect: number;
  /** Of the frontend. */
  readonly http: number;
  readonly consul: number;
}

/** What `haplane start` is run with. */
export interface StartOptions {
  readonly stateDir: string;
  readonly ports: StartPorts;
  /** Further arguments. */
  readonly args?: readonly string[];
  /** What comes before haplane's arguments. Default: this Node and src/main.ts. */
  readonly command?: readonly [string, ...string[]];
}

/** `haplane start` in a process group of its own, as a terminal would run it in the root of the checkout. */
export interface StartedHaplane extends StartOptions {
  /** Everything that it has printed, on both streams. */
  readonly output: string;
  /** From the start of the command until it said that everything runs, in milliseconds. */
  readonly readyMs: number;
  /** Process ids, as the state directory has them. */
  pids(): StartPids;
  adminToken(): string;
  /** What Ctrl-C does: a signal to the whole group. Resolves when the command has ended. */
  interrupt(): Promise<Ended>;
  /** kill -9 of haplane alone. */
  kill(): Promise<void>;
}

/** Process ids of what `haplane start` runs; undefined where there is no file that says so. */
export interface StartPids {
  readonly haplane: number | undefined;
  readonly haproxy: number | undefined;
  readonly consul: number | undefined;
}

/** How a command ended. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
  /** How long it took after the signal, in milliseconds. */
  readonly tookMs: number;
}

/** Four free ports. */
export async function startPorts(): Promise<StartPorts> {
  const [grpc, connect, http, consul] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  return { grpc, connect, http, consul };
}

/** Starts it and waits until it says that everything runs. Fails with its output when it ends instead. */
export async function startCommand(options: StartOptions): Promise<StartedHaplane> {
  const began = performance.now();
  const run = runStart(options);
  try {
    await waitFor(
      `"${READY}"`,
      () => run.child.exitCode !== null || run.child.signalCode !== null || run.output().includes("Ctrl-C"),
      { timeoutMs: READY_MS },
    );
    if (!run.output().includes(READY)) throw new Error(`haplane start ended: ${run.output()}`);
  } catch (error) {
    await endEverything(options.stateDir);
    throw error;
  }
  const readyMs = performance.now() - began;
  return {
    ...options,
    get output() {
      return run.output();
    },
    readyMs,
    pids: () => readPids(options.stateDir),
    adminToken: () => readFileSync(join(options.stateDir, "admin.token"), "utf8").trim(),
    interrupt: () => interrupt(run),
    async kill() {
      const { haplane } = readPids(options.stateDir);
      if (haplane !== undefined) signalProcess(haplane, "SIGKILL");
      await run.exited;
    },
  };
}

/** Starts it where it is expected to end by itself; resolves when it has. */
export async function startInVain(options: StartOptions): Promise<Ended> {
  const began = performance.now();
  const run = runStart(options);
  await run.exited;
  return { code: run.child.exitCode, output: run.output(), tookMs: performance.now() - began };
}

/** Ends what still runs on a state directory, in the order in which nothing is started again. */
export async function endEverything(stateDir: string): Promise<void> {
  for (const part of ["haplane", "haproxy", "consul"] as const) {
    const pid = readPids(stateDir)[part];
    // A process id may be given to another program; all of ours name the directory in their arguments.
    if (pid !== undefined && commandLine(pid).includes(stateDir)) await endProcess(pid, GRACE_MS);
  }
}

/** Whether a process runs; one that has ended and that nobody has waited for does not. */
export function isRunning(pid: number): boolean {
  return commandLine(pid) !== "";
}

interface Run {
  readonly child: ChildProcess;
  readonly exited: Promise<unknown>;
  output(): string;
}

function runStart({ stateDir, ports, args = [], command }: StartOptions): Run {
  const [program, ...first] = command ?? [process.execPath, join("src", "main.ts"), "start"];
  const child = spawn(
    program,
    [
      ...[...first, `--state-dir=${stateDir}`, `--http=127.0.0.1:${ports.http}`],
      ...[`--grpc=127.0.0.1:${ports.grpc}`, `--connect=127.0.0.1:${ports.connect}`],
      ...[`--consul=127.0.0.1:${ports.consul}`, ...args],
    ],
    { cwd: root, detached: true, stdio: ["ignore", "pipe", "pipe"], env: withoutSettings(process.env) },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  return { child, exited: once(child, "close"), output: () => output };
}

async function interrupt({ child, exited, output }: Run): Promise<Ended> {
  const began = performance.now();
  if (child.pid !== undefined) process.kill(-child.pid, "SIGINT");
  await exited;
  return { code: child.exitCode, output: output(), tookMs: performance.now() - began };
}

/** The environment without settings of haplane, which would change what is tested. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("HAPLANE_")));
}

/** The process ids that a state directory names. */
export function readPids(stateDir: string): StartPids {
  const read = (...path: string[]) => {
    try {
      return Number(readFileSync(join(stateDir, ...path), "utf8")) || undefined;
    } catch {
      return undefined;
    }
  };
  return {
    haplane: read("haplane.pid"),
    haproxy: read("haproxy.pid"),
    consul: read("consul", "consul.pid"),
  };
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return "";
  }
}
