import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import type { NewBackend, Target } from "./target.ts";

/** Joins backends that appear together, so that they cost one reload. */
export interface NewBackends {
  /** Resolves when HAProxy runs the backend. `alone`: it failed before, and the others must not fail with it. */
  create(backend: NewBackend, alone: boolean): Promise<void>;
  /** Creates nothing more; what waits to be joined fails with `CANCELLED`. */
  stop(): void;
  /** Resolves when nothing that was begun is under way: what HAProxy is being reloaded for cannot be stopped. */
  idle(): Promise<void>;
}

/** A reload takes far longer than this, and services that are found together are reported within it. */
const GATHER_MS = 20;

/** Creates backends on behalf of `author`. */
export function createNewBackends(target: Target, clock: Clock, author: string): NewBackends {
  let gathered: NewBackend[] = [];
  let batch: Promise<void> | undefined;
  let isStopped = false;
  const underWay = new Set<Promise<void>>();

  async function createNow(backends: readonly NewBackend[]): Promise<void> {
    if (isStopped) throw new DomainError("CANCELLED", "the source was stopped");
    const creation = target.createBackends(backends, author);
    underWay.add(creation);
    await creation.finally(() => underWay.delete(creation));
  }

  function gather(): Promise<void> {
    return new Promise((resolve, reject) => {
      clock.after(GATHER_MS, () => {
        const backends = gathered;
        gathered = [];
        batch = undefined;
        createNow(backends).then(resolve, reject);
      });
    });
  }

  return {
    create(backend, alone) {
      if (alone) return createNow([backend]);
      gathered.push(backend);
      batch ??= gather();
      return batch;
    },
    stop() {
      isStopped = true;
    },
    async idle() {
      await Promise.allSettled(underWay);
    },
  };
}
