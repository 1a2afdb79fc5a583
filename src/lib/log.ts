import { type DestinationStream, type Logger, type LoggerOptions, pino } from "pino";

/** What a logger is made from. */
export interface LogOptions {
  /** The least level that is written: trace, debug, info, warn, error or silent. */
  readonly level: string;
  /** Where lines go, such as `pino.destination(file)`. */
  readonly destination: DestinationStream;
}

/** Names whose values are never written, wherever they stand in the first three levels of a line, or in the first of what a logger was made with. */
const SECRET_NAMES = ["token", "password", "secret", "authorization", "cookie", "privateKey", "private_key"];
const IS_SECRET: ReadonlySet<string> = new Set(SECRET_NAMES);
const LEVELS = 3;
const REDACTED = "[redacted]";

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
    // pino's own `redact` reads its paths anew for every line, and takes longer than everything else that a line costs.
    formatters: { level: (label) => ({ level: label }), log: (line) => withoutSecrets(line, LEVELS) },
    serializers: {
      ...Object.fromEntries(SECRET_NAMES.map((name) => [name, () => REDACTED])),
      err: (error) => withoutSecrets(describeError(error) as object, LEVELS - 1),
    },
  };
  const logger = pino(options, destination);
  children.set(logger, parts);
  return logger;
}

/** The value, or, where something in it is named like a secret, a copy of it without. */
function withoutSecrets<T extends object>(value: T, levels: number): T {
  let copy: Record<string, unknown> | undefined;
  // What an error holds is looked at when it has been described.
  if (value instanceof Error) return value;
  const entries = value as Record<string, unknown>;
  for (const key of Object.keys(entries)) {
    const found = entries[key];
    const shown = IS_SECRET.has(key) ? REDACTED : deeper(found, levels);
    if (shown === found) continue;
    copy ??= (Array.isArray(value) ? [...value] : { ...entries }) as Record<string, unknown>;
    copy[key] = shown;
  }
  return (copy as T | undefined) ?? value;
}

function deeper(value: unknown, levels: number): unknown {
  const ends = levels === 1 || typeof value !== "object" || value === null;
  return ends ? value : withoutSecrets(value, levels - 1);
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
