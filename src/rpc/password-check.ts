import { Worker } from "node:worker_threads";
import { DomainError } from "../lib/errors.ts";
import type { ShaCrypt } from "../lib/sha-crypt.ts";
import type { Question, Reply } from "./password-thread.ts";

/** Questions that may wait; each takes milliseconds, and who guesses passwords is not to hold up those who know theirs for long. */
const MAX_WAITING = 64;

/** Checks passwords off the event loop. */
export interface PasswordCheck {
  /** Whether a password has a hash. Rejects with `LIMIT_EXCEEDED` when too many wait. */
  verify(password: string, hash: ShaCrypt): Promise<boolean>;
  /** Ends the thread; what still waits is refused. */
  close(): Promise<void>;
}

/** Makes a check whose thread is started by the first question, and again when it has ended. */
export function createPasswordCheck(): PasswordCheck {
  const waiting = new Map<number, PromiseWithResolvers<boolean>>();
  let worker: Worker | undefined;
  let lastId = 0;

  function start(): Worker {
    const started = new Worker(new URL("./password-thread.ts", import.meta.url));
    started.unref();
    started.on("message", ({ id, matches }: Reply) => {
      waiting.get(id)?.resolve(matches);
      waiting.delete(id);
    });
    started.on("error", () => {});
    started.once("exit", () => {
      if (worker === started) worker = undefined;
      for (const waiter of waiting.values())
        waiter.reject(new Error("the thread that checks passwords ended"));
      waiting.clear();
    });
    return started;
  }

  return {
    async verify(password, hash) {
      if (waiting.size >= MAX_WAITING)
        throw new DomainError("LIMIT_EXCEEDED", "too many passwords wait to be checked; try again", {
          metadata: { limit: `${MAX_WAITING} at once` },
          retryAfterMs: 1_000,
        });
      worker ??= start();
      const id = ++lastId;
      const waiter = Promise.withResolvers<boolean>();
      waiting.set(id, waiter);
      worker.postMessage({ id, password, hash } satisfies Question);
      return waiter.promise;
    },
    async close() {
      await worker?.terminate();
    },
  };
}
