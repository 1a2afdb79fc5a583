import { join } from "node:path";
import type { Logger } from "pino";
import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import { Serial } from "../lib/serial.ts";
import type { CallOptions } from "./call-options.ts";
import { checkConfiguration, type HaproxyProgram } from "./check.ts";
import type { Haproxy, StopRequest } from "./haproxy.ts";
import { ManagedProcess } from "./managed-process.ts";
import { type ReloadOutcome, reload } from "./reload.ts";
import { isBinaryReplaced } from "./replaced-binary.ts";
import { createRuntime } from "./runtime.ts";
import { Supervisor } from "./supervisor.ts";

/** What is known of the HAProxy to work with. */
export interface HaproxyOptions {
  /** Path of the binary, for checks and, when managed, to run it. Undefined: no checks. */
  readonly binary: string | undefined;
  /** Configuration files and directories, in order. */
  readonly files: readonly string[];
  /** Master socket of an HAProxy that somebody else runs; undefined has haplane run one. */
  readonly masterSocket: string | undefined;
  /** Stats socket; undefined: the first UNIX one with `level admin` that the running worker has. */
  readonly statsSocket: string | undefined;
  /** Absolute path of haplane's directory; a managed HAProxy has its master socket, output and process id there. */
  readonly stateDir: string;
  /** Environment of the binary. Default: haplane's own. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Directory where the binary runs. Default: haplane's own. */
  readonly directory?: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How long a reload may take when its caller does not say: 2.6 reads 50,000 servers in half a minute. */
const RELOAD_TIMEOUT_MS = 120_000;

/** How long connections may take to end when HAProxy is stopped. */
const STOP_GRACE_MS = 5_000;

/** HAProxy puts `.PID.tmp` behind a socket's path while it binds it, and the system takes 107 bytes. */
const MAX_SOCKET_PATH_BYTES = 92;

/** Makes the one object through which haplane works with HAProxy. It does nothing before `start`. Throws `FIELD_INVALID` for paths that HAProxy cannot use. */
export function createHaproxy(options: HaproxyOptions): Haproxy {
  const { binary, files, statsSocket, environment, directory, clock, logger } = options;
  const isManaged = options.masterSocket === undefined;
  const masterSocket = options.masterSocket ?? masterSocketIn(options.stateDir);
  const program: HaproxyProgram | undefined =
    binary === undefined ? undefined : { binary, environment, directory };
  const supervisor = new Supervisor({
    masterSocket,
    statsSocket,
    createManaged: isManaged ? createManaged : undefined,
    clock,
    logger,
  });
  const runtime = createRuntime(supervisor.queues, clock);
  const reloads = new Serial();

  function createManaged(onExit: () => void): ManagedProcess {
    return new ManagedProcess({
      ...{ program: known(program), files, masterSocket, onExit },
      stateDir: options.stateDir,
    });
  }

  let toldOf: string | undefined;
  /** A reload has the master run what is on disk, so that is what checks are made with; until then the workers are those of the former binary. */
  function tellOfReplacement(): void {
    const { state } = supervisor;
    if (state.kind !== "running" || !isBinaryReplaced(state.masterPid)) return;
    // A reload makes a new program of the same process.
    const program = `${state.masterPid} ${state.reloads}`;
    if (program === toldOf) return;
    toldOf = program;
    logger.warn(
      { masterPid: state.masterPid, running: state.version.text, binary },
      "HAProxy's binary was replaced on disk while HAProxy runs: configurations are checked with the new one, and the next reload starts it",
    );
  }

  /** One that was started from stand-ins names them in its messages. */
  function originally(outcome: ReloadOutcome): ReloadOutcome {
    const { standIns } = supervisor.managed ?? {};
    if (standIns?.inUse !== true || outcome.kind === "timed_out") return outcome;
    const named = (text: string) =>
      standIns.paths.reduce((sum, path, index) => sum.replaceAll(path, () => files[index]!), text);
    const messages = outcome.messages.map(({ file, message, ...rest }) => ({
      ...rest,
      file: named(file),
      message: named(message),
    }));
    return { ...outcome, messages };
  }

  return {
    mode: isManaged ? "managed" : "attached",
    runtime,
    standIns: supervisor.managed?.standIns,
    get state() {
      return supervisor.state;
    },
    get capabilities() {
      return supervisor.capabilities;
    },
    subscribe: (listener) => supervisor.subscribe(listener),
    start: () => supervisor.start(),
    async stop(request: StopRequest) {
      await supervisor.stop();
      const { managed } = supervisor;
      if (request.haproxy === "leave" || managed === undefined) return;
      if (request.haproxy === "end" || managed.isOwn) await managed.end(request.graceMs ?? STOP_GRACE_MS);
    },
    async check(request, callOptions) {
      tellOfReplacement();
      return checkConfiguration(known(program), request.files ?? files, callOptions);
    },
    reload(callOptions = {}) {
      const timeoutMs = callOptions.timeoutMs ?? RELOAD_TIMEOUT_MS;
      return unlessAborted(
        reloads.run(async () => originally(await reload(supervisor, clock, timeoutMs))),
        callOptions,
      );
    },
  };
}

/** A reload cannot be taken back: who gives it up only does not hear how it ends. */
function unlessAborted(outcome: Promise<ReloadOutcome>, { signal }: CallOptions): Promise<ReloadOutcome> {
  if (signal === undefined) return outcome;
  return new Promise((resolve, reject) => {
    const abort = () =>
      reject(new DomainError("CANCELLED", "The call was cancelled; HAProxy reloads nevertheless."));
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    outcome.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

function known(program: HaproxyProgram | undefined): HaproxyProgram {
  if (program !== undefined) return program;
  throw new DomainError("NOT_SUPPORTED", "No HAProxy binary is known.", {
    metadata: { needs: "an HAProxy binary" },
  });
}

function masterSocketIn(stateDir: string): string {
  const path = join(stateDir, "haproxy-master.sock");
  const description = path.includes(",")
    ? "must not contain a comma, which HAProxy takes for the beginning of options"
    : Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES
      ? `is too long: ${path} has more than ${MAX_SOCKET_PATH_BYTES} bytes`
      : undefined;
  if (description === undefined) return path;
  throw new DomainError("FIELD_INVALID", `The state directory ${description}.`, {
    violations: [{ field: "state-dir", description }],
  });
}
