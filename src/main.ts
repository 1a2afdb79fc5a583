#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { boundHeap } from "./lib/bound-heap.ts";
import { systemClock } from "./lib/clock.ts";
import { DomainError } from "./lib/errors.ts";
import { findExecutable } from "./lib/find-executable.ts";
import { createLogger, setLevel } from "./lib/log.ts";
import { LogFile } from "./lib/log-file.ts";
import { requireRegular } from "./lib/regular-file.ts";
import { createServiceManager } from "./lib/service-manager.ts";
import { StartError } from "./lib/start-error.ts";
import { readSettings } from "./settings/read-settings.ts";
import { createReload } from "./settings/reload.ts";
import type { Profile, Settings } from "./settings/settings.ts";
import { SettingsError } from "./settings/settings-error.ts";
import { usage } from "./settings/usage.ts";

const EXIT = { ok: 0, failed: 1, usage: 2 } as const;
/** Ctrl-C reaches haplane twice when npm runs it: from the terminal, and from npm. */
const SAME_SIGNAL_MS = 1_000;
const SBIN = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"];

/** Something that runs until it is stopped. */
interface Running {
  readonly failed: Promise<Error>;
  /** Takes what may change while it runs. */
  reload(settings: Settings): Promise<void>;
  stop(): Promise<void>;
}

boundHeap();

const [command, ...argv] = process.argv.slice(2);
process.exitCode = await main(command, argv);

async function main(name: string | undefined, args: readonly string[]): Promise<number> {
  switch (name) {
    case "start":
      return run("start", args, startLocally);
    case "serve":
      return run("serve", args, serve);
    case "inspect":
      return inspect(args);
    case "check":
      return check(args);
    case "token":
      return token(args);
    case "backup":
      return backup(args);
    case "doctor":
      return doctor(args);
    case "import":
      return importIncumbent(args);
    case "version":
    case "--version":
      process.stdout.write(`haplane ${version()}\n`);
      return EXIT.ok;
    case undefined:
    case "help":
    case "--help":
      process.stdout.write(usage());
      return name === undefined ? EXIT.usage : EXIT.ok;
    default:
      process.stderr.write(`haplane: there is no command "${name}"; haplane help lists them\n`);
      return EXIT.usage;
  }
}

/** The version of the package, which lies above both src/ and dist/. */
function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** A file as text; undefined when there is none. */
function readIfThere(path: string): string | undefined {
  try {
    requireRegular(path);
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Needs no server, so what a server needs is not loaded. */
async function inspect(args: readonly string[]): Promise<number> {
  const { runInspect } = await import("./inspect/run-inspect.ts");
  return runInspect(args, {
    readFile,
    out: (output) => void process.stdout.write(output),
    error: (message) => void process.stderr.write(message),
  });
}

/** Runs a command that ends by itself. What goes wrong is told in one line; `codeOf` says with which exit code. */
async function ending(
  command: () => Promise<number>,
  codeOf: (error: unknown) => number = (error) => (error instanceof SettingsError ? EXIT.usage : EXIT.failed),
): Promise<number> {
  try {
    return await command();
  } catch (error) {
    process.stderr.write(`haplane: ${explain(error)}\n`);
    return codeOf(error);
  }
}

function out(text: string): void {
  process.stdout.write(text);
}

function serveSettings(args: readonly string[]): Settings {
  return readSettings("serve", args, process.env, readIfThere);
}

/** Exit codes: 0 when all is right, 1 when the configuration is not, 2 when the settings are not. */
function check(args: readonly string[]): Promise<number> {
  return ending(
    async () => {
      const settings = serveSettings(args);
      const { runCheck } = await import("./command/check.ts");
      const isRight = await runCheck({
        settings,
        haproxyBinary: findHaproxy(settings),
        clock: systemClock,
        out,
      });
      return isRight ? EXIT.ok : EXIT.failed;
    },
    (error) => (error instanceof SettingsError || error instanceof StartError ? EXIT.usage : EXIT.failed),
  );
}

/** Exit codes: 0, 1 when the state cannot be read, 2 for what cannot be done as it was asked. */
function backup([target, ...args]: readonly string[]): Promise<number> {
  return ending(async () => {
    if (target === undefined || target.startsWith("-"))
      throw new SettingsError("write the directory to make: haplane backup DIR");
    const { stateDir, tokensFile } = serveSettings(args);
    const { runBackup } = await import("./command/backup.ts");
    await runBackup({ stateDir, tokensFile, target, out });
    return EXIT.ok;
  });
}

/** Exit codes: 0, and 2 for what cannot be done as it was asked. */
function token(args: readonly string[]): Promise<number> {
  return ending(
    async () => {
      const { parseTokenRequest, runToken } = await import("./command/token.ts");
      const { request, rest } = parseTokenRequest(args);
      await runToken(request, serveSettings(rest).tokensFile, {
        out,
        note: (text) => void process.stderr.write(text),
      });
      return EXIT.ok;
    },
    () => EXIT.usage,
  );
}

/** Exit codes: 0 when haplane can work here, 1 when not, 2 when the settings are at fault. */
function doctor(args: readonly string[]): Promise<number> {
  return ending(async () => {
    const settings = serveSettings(args);
    const { runDoctor } = await import("./doctor/run-doctor.ts");
    const canWork = await runDoctor(
      { settings, haproxyBinary: findHaproxy(settings), clock: systemClock },
      out,
    );
    return canWork ? EXIT.ok : EXIT.failed;
  });
}

/** Makes settings and sources of those of a Data Plane API. */
function importIncumbent(args: readonly string[]): Promise<number> {
  return ending(
    async () => {
      const { runImport } = await import("./import/run-import.ts");
      const { addSources } = await import("./import/add-sources.ts");
      return runImport(args, {
        readIfThere,
        writeNew: (path, text) => writeFile(path, text, { flag: "wx", mode: 0o600 }),
        addSources(file, sources) {
          const { stateDir } = serveSettings([`--settings=${file}`]);
          return addSources({ stateDir, pid: process.pid, clock: systemClock }, sources);
        },
        out,
        error: (text) => void process.stderr.write(text),
      });
    },
    () => EXIT.failed,
  );
}

type Start = (settings: Settings, logger: Logger, signal: AbortSignal) => Promise<Running>;

/** Starts, waits for a signal or a failure, and stops. A second signal ends the process at once. */
async function run(profile: Profile, args: readonly string[], start: Start): Promise<number> {
  if (args.includes("--help")) {
    process.stdout.write(usage());
    return EXIT.ok;
  }
  const asked = new AbortController();
  const stopped = new Promise<void>((resolve) => {
    let askedAt = 0;
    // A terminal that closes ends what was started in it; a service is told by the same signal to read its settings anew.
    const ending =
      profile === "start" ? (["SIGINT", "SIGTERM", "SIGHUP"] as const) : (["SIGINT", "SIGTERM"] as const);
    for (const signal of ending) {
      process.on(signal, () => {
        if (asked.signal.aborted && performance.now() - askedAt > SAME_SIGNAL_MS) process.exit(EXIT.failed);
        if (!asked.signal.aborted) askedAt = performance.now();
        asked.abort();
        resolve();
      });
    }
  });
  let reload = async () => {};
  if (profile === "serve") process.on("SIGHUP", () => void reload());
  const read = () => readSettings(profile, args, process.env, readIfThere);
  let running: Running;
  let logger: Logger;
  try {
    const settings = read();
    const log = openLog(settings);
    logger = log.logger;
    running = await start(settings, logger, asked.signal);
    reload = createReload({
      settings,
      read,
      async apply(next) {
        log.reopen();
        await running.reload(next);
        setLevel(logger, next.logLevel);
      },
      logger,
    });
  } catch (error) {
    process.stderr.write(`haplane: ${explain(error)}\n`);
    return error instanceof SettingsError ? EXIT.usage : EXIT.failed;
  }
  const failure = await Promise.race([stopped, running.failed]);
  if (failure !== undefined) {
    logger.fatal({ err: failure }, "haplane cannot go on");
    process.stderr.write(`haplane: ${explain(failure)}\n`);
  }
  await running.stop();
  return failure === undefined ? EXIT.ok : EXIT.failed;
}

async function startLocally(settings: Settings, logger: Logger, signal: AbortSignal): Promise<Running> {
  const { startEmbedded } = await import("./embedded/embedded.ts");
  const embedded = await startEmbedded({
    settings,
    logger,
    signal,
    clock: systemClock,
    pid: process.pid,
    haproxyBinary: requireHaproxy(settings),
    consulBinary: findExecutable("consul", process.env.PATH, [
      join(".haplane", "tools", "consul", "usr", "bin"),
    ]),
    workingDirectory: process.cwd(),
  });
  process.stdout.write(embedded.banner);
  const { failed, reload } = embedded.server;
  return { failed, reload, stop: () => embedded.stop() };
}

async function serve(settings: Settings, logger: Logger): Promise<Running> {
  const { startServer } = await import("./server.ts");
  const { NOTIFY_SOCKET: notifySocket } = process.env;
  // HAProxy, which haplane starts, is not the service that systemd waits for.
  delete process.env.NOTIFY_SOCKET;
  const serviceManager = createServiceManager({
    ...{ notifySocket, environment: process.env, pid: process.pid },
    onError: (error) => logger.error({ err: error }, "systemd could not be told how haplane is"),
  });
  const attached = settings.masterSocket !== undefined;
  const server = await startServer({
    settings,
    logger,
    clock: systemClock,
    pid: process.pid,
    haproxyBinary: attached ? findHaproxy(settings) : requireHaproxy(settings),
  });
  logger.info({ ...server.listening }, "haplane serves");
  serviceManager.ready();
  return {
    ...server,
    stop() {
      serviceManager.stopping();
      return server.stop({ haproxy: "leave" });
    },
  };
}

function findHaproxy(settings: Settings): string | undefined {
  return settings.haproxy ?? findExecutable("haproxy", process.env.PATH, SBIN);
}

function requireHaproxy(settings: Settings): string {
  const binary = findHaproxy(settings);
  if (binary !== undefined) return binary;
  throw new SettingsError(
    "no haproxy was found on PATH; install HAProxy 2.6 or newer, or say where it is with --haproxy FILE",
  );
}

/** The log, and how its file is opened anew after somebody has moved it away. */
function openLog({ logFile, logLevel }: Settings): { logger: Logger; reopen: () => void } {
  if (logFile === undefined) {
    // It may lead to a file, and a disk that is full costs log lines, not the process.
    process.stderr.on("error", () => {});
    return { logger: createLogger({ level: logLevel, destination: process.stderr }), reopen: () => {} };
  }
  const destination = new LogFile(logFile);
  return {
    logger: createLogger({ level: logLevel, destination }),
    reopen: () => destination.reopen(),
  };
}

/** An error in one line: a known one, or one of the system (a port that is taken), by its own words; a defect with where it came from. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isKnown =
    error instanceof SettingsError ||
    error instanceof StartError ||
    error instanceof DomainError ||
    "syscall" in error;
  return isKnown ? error.message : (error.stack ?? error.message);
}
