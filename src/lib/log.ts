import { type DestinationStream, type Logger, type LoggerOptions, pino } from "pino";

/** What a logger is made from. */
export interface LogOptions {
  /** The least level that is written: trace, debug, info, warn, error or silent. */
  readonly level: string;
  /** Where lines go, such as `pino.destination(file)`. */
  readonly destination: DestinationStream;
}

/** Names whose values are never written, wherever they stand in the first three levels of a line. */
const SECRET_NAMES = ["token", "password", "secret", "authorization", "cookie", "privateKey", "private_key"];

/** Changes the level of a logger of `createLogger` and of all that were made from it. */
export function setLevel(logger: Logger, level: string): void {
  logger.level = level;
  for (const reference of children.get(logger) ?? []) {
    const child = reference.deref();
    if (child !== undefined) child.level = level;
  }
}

/** What was made from a logger: to pino each has a level of its own. */
const children = new WeakMap<Logger, WeakRef<Logger>[]>();

/** Creates the process's logger: one JSON object per line, secrets replaced, levels by name, time as RFC 3339. Loggers made from it are for parts of the program, not for single calls. */
export function createLogger({ level, destination }: LogOptions): Logger {
  const parts: WeakRef<Logger>[] = [];
  const options: LoggerOptions = {
    level,
    onChild: (child) => parts.push(new WeakRef(child)),
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: SECRET_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
      censor: "[redacted]",
    },
    serializers: { err: describeError },
  };
  const logger = pino(options, destination);
  children.set(logger, parts);
  return logger;
}

/** What a log keeps of an error: type, message, stack, facts and causes, no further than five deep. */
export function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, stack, cause } = error;
  const facts = Object.fromEntries(
    Object.entries(error).filter(([key, value]) => key !== "cause" && key !== "name" && isFact(value)),
  );
  return {
    type: name,
    message,
    ...facts,
    stack,
    ...(cause === undefined || depth === 4 ? {} : { cause: describeError(cause, depth + 1) }),
  };
}

/** Empty lists and unset properties say nothing. */
function isFact(value: unknown): boolean {
  if (value === undefined || typeof value === "function") return false;
  return typeof value !== "object" || value === null || Object.keys(value).length > 0;
}
