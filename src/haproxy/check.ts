import { type ChildProcess, spawn } from "node:child_process";
import { constants, setPriority } from "node:os";
import { DomainError } from "../lib/errors.ts";
import type { CallOptions } from "./call-options.ts";
import { type LogMessage, parseLogMessages } from "./log-messages.ts";

/** What `haproxy -c` said. */
export interface CheckOutcome {
  /** False also when the checker was ended by a signal or did not come to an end in time. */
  readonly ok: boolean;
  /** Alerts, warnings and notices in the order printed. */
  readonly messages: readonly LogMessage[];
  /** Why it failed when that is not in the messages: a signal, the deadline. */
  readonly failure?: string;
  /** The deadline passed, so that nothing is known of the configuration. */
  readonly timedOut?: boolean;
  readonly tookMs: number;
}

/** How HAProxy is called, for checks and, in managed mode, to run. */
export interface HaproxyProgram {
  /** Path of the binary. */
  readonly binary: string;
  /** Its environment; the configuration may name variables. Undefined: haplane's own. */
  readonly environment: Readonly<Record<string, string | undefined>> | undefined;
  /** Where relative paths in the configuration begin. Undefined: haplane's own directory. */
  readonly directory: string | undefined;
}

/** A check of 50,000 servers in one backend takes 2.6 half a minute. */
const DEFAULT_TIMEOUT_MS = 120_000;

/** HAProxy stops after 50 alerts; warnings have no such limit. */
const MAX_OUTPUT_BYTES = 1024 * 1024;

/**
 * Runs `haproxy -c` over files (default deadline: 120 s), with the lowest priority that leaves it alive, so that it does not take the
 * processor from traffic. Rejects with `NOT_SUPPORTED` when the binary cannot be run and `CANCELLED` when the signal aborts.
 */
export async function checkConfiguration(
  { binary, environment, directory }: HaproxyProgram,
  files: readonly string[],
  options: CallOptions = {},
): Promise<CheckOutcome> {
  if (options.signal?.aborted) throw cancelled();
  const started = performance.now();
  const child = spawn(binary, ["-c", ...files.flatMap((file) => ["-f", file])], {
    cwd: directory,
    env: environment as NodeJS.ProcessEnv | undefined,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  let failure: string | undefined;
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    failure = `it did not end within ${timeoutMs} ms`;
    child.kill("SIGKILL");
  }, timeoutMs);
  const abort = () => child.kill("SIGKILL");
  options.signal?.addEventListener("abort", abort, { once: true });
  try {
    const { code, signal, output } = await readToEnd(child, binary);
    if (options.signal?.aborted) throw cancelled();
    if (signal !== null) failure ??= `it was ended by ${signal}`;
    const messages = parseLogMessages(output);
    if (code !== 0 && !messages.some(({ level }) => level === "alert"))
      failure ??= output.trim().split("\n").at(-1) || `it ended with exit code ${code}`;
    const tookMs = performance.now() - started;
    return { ok: code === 0, messages, tookMs, timedOut, ...(failure !== undefined && { failure }) };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", abort);
  }
}

function readToEnd(
  child: ChildProcess,
  binary: string,
): Promise<{ code: number | null; signal: NodeJS.Signals | null; output: string }> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const take = (chunk: Buffer) => {
      if (length < MAX_OUTPUT_BYTES) chunks.push(chunk.subarray(0, MAX_OUTPUT_BYTES - length));
      length += chunk.length;
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    child.once("spawn", () => beNice(child));
    child.once("error", (cause) =>
      reject(
        new DomainError("NOT_SUPPORTED", `HAProxy's binary ${binary} cannot be run: ${cause.message}.`, {
          metadata: { needs: "an HAProxy binary" },
          cause,
        }),
      ),
    );
    child.once("close", (code, signal) =>
      resolve({ code, signal, output: Buffer.concat(chunks).toString("utf8") }),
    );
  });
}

function beNice({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It has ended already.
  }
}

function cancelled(): DomainError {
  return new DomainError("CANCELLED", "The check was cancelled.");
}
