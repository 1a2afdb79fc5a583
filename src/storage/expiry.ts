import type { Logger } from "pino";
import type { Clock } from "../lib/clock.ts";
import type { Directories } from "./directories.ts";
import type { OnFileChange } from "./file-change.ts";
import { certificatesOf } from "./file-details.ts";
import type { FileFacts } from "./known-files.ts";

/** A certificate that is served, and when it ends. */
export interface Expiry {
  readonly facts: FileFacts;
  /** In milliseconds since 1970. */
  readonly notAfter: number;
}

/** What the watch over certificates needs. */
export interface ExpiryOptions {
  readonly directories: Pick<Directories, "certificates">;
  /** How long before its end a certificate is near it, in milliseconds. */
  readonly noticeMs: number;
  readonly onChange: OnFileChange;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Tells of certificates that are near their end. */
export interface ExpiryWatch {
  start(): void;
  /** Looks at once, because a certificate has been stored. */
  look(): void;
  stop(): Promise<void>;
  /** The end of every certificate. Reads only files that have changed. */
  list(): Promise<readonly Expiry[]>;
}

const PERIOD_MS = 3_600_000;

/** Looks at the start, every hour and when it is asked to. Each content is told of twice at most: when its end is near, and when it has come. */
export function createExpiryWatch(options: ExpiryOptions): ExpiryWatch {
  const { directories, noticeMs, onChange, clock, logger } = options;
  const told = new WeakMap<FileFacts, "near" | "over">();
  let cancel = () => {};
  let looking: Promise<void> = Promise.resolve();
  let stopped = false;

  const list = async (): Promise<readonly Expiry[]> => {
    const found: Expiry[] = [];
    for (const facts of await directories.certificates.list()) {
      const [first] = await certificatesOf(directories.certificates, "certificates", facts);
      if (first !== undefined) found.push({ facts, notAfter: first.notAfter });
    }
    return found;
  };

  const look = async (): Promise<void> => {
    const now = clock.now();
    for (const { facts, notAfter } of await list()) {
      const stage = notAfter <= now ? "over" : notAfter - noticeMs <= now ? "near" : undefined;
      if (stage === undefined || told.get(facts) === stage) continue;
      told.set(facts, stage);
      logger.warn(
        { path: facts.path, notAfter: new Date(notAfter) },
        "a certificate is near its end, or past it",
      );
      onChange({ type: "expiring", kind: "certificates", facts, author: "haplane", notAfter });
    }
  };

  const lookAgain = (): void => {
    looking = looking
      .then(look)
      .catch((error: unknown) => logger.warn({ err: error }, "certificates cannot be read"));
  };

  const start = (): void => {
    lookAgain();
    void looking.then(() => {
      if (!stopped) cancel = clock.after(PERIOD_MS, start);
    });
  };

  return {
    start,
    list,
    look: lookAgain,
    async stop() {
      stopped = true;
      cancel();
      await looking;
    },
  };
}
