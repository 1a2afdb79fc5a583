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

/** Creates the process's logger: one JSON object per line, secrets replaced, levels by name, time as RFC 3339. */
export function createLogger({ level, destination }: LogOptions): Logger {
  const options: LoggerOptions = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: SECRET_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
      censor: "[redacted]",
    },
    serializers: { err: describeError },
  };
  return pino(options, destination);
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
