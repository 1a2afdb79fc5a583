import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { signalProcess } from "../lib/other-process.ts";
import type { HaproxyProgram } from "./check.ts";
import { fatalAlert, parseLogMessages } from "./log-messages.ts";
import { OutputLog } from "./output-log.ts";
import { commandLine, isAlive } from "./processes.ts";

/** How long a master that was told to end at once is waited for before it is killed. */
const TERM_MS = 1_000;

/** How often it is looked whether it has ended. */
const POLL_MS = 20;

/** Files that a managed HAProxy can be started from in place of its own. */
export interface StandIns {
  /** Their paths, one for each of HAProxy's files, beside it: what is relative to the one is so to the other. Nothing is there until somebody makes them. */
  readonly paths: readonly string[];
  /** Whether the running HAProxy was started from them, and so reads them when it is reloaded. */
  readonly inUse: boolean;
  /** Whether HAProxy is started from them, should it have to be. Default false. */
  wanted: boolean;
}

/** What a managed HAProxy is made of. */
export interface ManagedProcessOptions {
  readonly program: HaproxyProgram;
  /** Configuration files, each becomes `-f PATH`. */
  readonly files: readonly string[];
  readonly masterSocket: string;
  /** Where its output and its process id are kept. */
  readonly stateDir: string;
  /** Called when a process that this haplane has started ends. */
  readonly onExit: () => void;
}

/**
 * The HAProxy that haplane runs: started in a session of its own with its output in a file, so that it serves on when haplane is
 * killed, and found again by the next haplane through its master socket and process id.
 */
export class ManagedProcess {
  readonly log: OutputLog;
  readonly standIns: { readonly paths: readonly string[]; inUse: boolean; wanted: boolean };
  readonly #options: ManagedProcessOptions;
  readonly #pidFile: string;
  #pid: number | undefined;
  #child: ChildProcess | undefined;
  #logOffset = 0;
  #lastExit: string | undefined;

  constructor(options: ManagedProcessOptions) {
    this.#options = options;
    this.log = new OutputLog(join(options.stateDir, "haproxy.log"));
    this.#pidFile = join(options.stateDir, "haproxy.pid");
    this.standIns = { paths: options.files.map(standInOf), inUse: false, wanted: false };
    this.#pid = readPid(this.#pidFile);
  }

  /** Process id of the master that was started or found; it may have ended. */
  get pid(): number | undefined {
    return this.#pid;
  }

  /** Why the last process ended, as far as it is known. */
  get lastExit(): string | undefined {
    return this.#lastExit;
  }

  /** True while the master lives, whether or not it answers. */
  get isAlive(): boolean {
    if (this.#child !== undefined) return true;
    return this.#pid !== undefined && isAlive(this.#pid, this.#masterArgument);
  }

  /** True while a master that this haplane has started lives. */
  get isOwn(): boolean {
    return this.#child !== undefined;
  }

  /** Starts a master; what becomes of it shows in `isAlive`, and in `lastExit` before `onExit` is called. */
  start(): void {
    const { binary, environment, directory } = this.#options.program;
    this.#lastExit = undefined;
    const descriptor = this.log.open();
    this.#logOffset = this.log.size();
    this.standIns.inUse = this.standIns.wanted;
    const files = this.standIns.wanted ? this.standIns.paths : this.#options.files;
    const child = spawn(binary, this.#argumentsFor(files), {
      cwd: directory,
      env: environment as NodeJS.ProcessEnv | undefined,
      detached: true,
      stdio: ["ignore", descriptor, descriptor],
    });
    closeSync(descriptor);
    this.#child = child;
    child.unref();
    child.once("error", (error) => this.#ended(`${binary} cannot be run: ${error.message}`));
    child.once("exit", (code, signal) => {
      if (signal !== null) this.#ended(`it was ended by ${signal}`);
      else this.#ended([`it ended with code ${code}`, this.#fatalAlert()].filter(Boolean).join(": "));
    });
    if (child.pid !== undefined) this.#remember(child.pid);
  }

  /** Takes over a master that answers on the master socket. Returns a sentence when it runs with other arguments than these. */
  adopt(pid: number): string | undefined {
    if (pid !== this.#pid) this.#remember(pid);
    const words = commandLine(pid);
    // A reload puts -sf and -x in front; the rest stays as it was.
    if (words === undefined || words.length === 0) return undefined;
    const { files } = this.#options;
    const running = words.slice(-this.#argumentsFor(files).length);
    const isOf = (read: readonly string[]) =>
      this.#argumentsFor(read).every((word, index) => word === running[index]);
    this.standIns.inUse = isOf(this.standIns.paths);
    if (this.standIns.inUse || isOf(files)) return undefined;
    return `process ${pid} runs HAProxy with other arguments: ${running.join(" ")}`;
  }

  /** Ends the master: gracefully first (no new connections; those that are open get `graceMs`), then at once, then by force. */
  async end(graceMs: number): Promise<void> {
    const steps = [
      { signal: "SIGUSR1", waitMs: graceMs },
      { signal: "SIGTERM", waitMs: TERM_MS },
      { signal: "SIGKILL", waitMs: TERM_MS },
    ] as const;
    for (const { signal, waitMs } of steps) {
      if (this.#pid === undefined || !this.isAlive) break;
      if (signal === "SIGUSR1" && graceMs === 0) continue;
      signalProcess(this.#pid, signal);
      await this.#waitForEnd(waitMs);
    }
    rmSync(this.#pidFile, { force: true });
    rmSync(this.#options.masterSocket, { force: true });
  }

  get #masterArgument(): string {
    return `${this.#options.masterSocket},mode,600`;
  }

  #argumentsFor(files: readonly string[]): readonly string[] {
    return ["-W", "-S", this.#masterArgument, ...files.flatMap((file) => ["-f", file])];
  }

  async #waitForEnd(ms: number): Promise<void> {
    const end = performance.now() + ms;
    while (this.isAlive && performance.now() < end) await sleep(POLL_MS);
  }

  #remember(pid: number): void {
    this.#pid = pid;
    try {
      writeFileSync(this.#pidFile, `${pid}\n`, { mode: 0o600 });
    } catch {
      // A full disk. The file only helps to find a HAProxy whose master socket is gone.
    }
  }

  #fatalAlert(): string | undefined {
    return fatalAlert(parseLogMessages(this.log.readTail(this.#logOffset)));
  }

  #ended(how: string): void {
    if (this.#child === undefined) return;
    this.#child = undefined;
    this.#lastExit = how;
    this.#options.onExit();
  }
}

function readPid(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, "utf8").trim());
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Where the file lies that stands in for one: beside it, whatever symbolic links lead there. */
function standInOf(file: string): string {
  let target = file;
  try {
    target = realpathSync(file);
  } catch {
    // There is none yet.
  }
  return join(dirname(target), `.${basename(target)}.haplane-accepted`);
}
