import { createBackoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";

/** How often a registry in doubt is asked for everything, beside what it tells by itself. */
const ASK_IN_DOUBT = { firstMs: 2_000, maxMs: 60_000 };

/** Asks a registry in doubt again. A query that waits for a change may wait long for the one that ends a doubt: what a token may see, for one, changes no index. */
export interface DoubtfulAsking {
  /** Says whether there is a doubt; a new one begins from the shortest wait. */
  set(isInDoubt: boolean): void;
  stop(): void;
}

/** Asks by `refresh` for as long as there is a doubt. */
export function createDoubtfulAsking(clock: Clock, refresh: () => void): DoubtfulAsking {
  const backoff = createBackoff(ASK_IN_DOUBT);
  let cancel = () => {};

  function askLater(): void {
    cancel = clock.after(backoff.next(), () => {
      refresh();
      askLater();
    });
  }

  return {
    set(isInDoubt) {
      cancel();
      if (isInDoubt) askLater();
      else backoff.reset();
    },
    stop: () => cancel(),
  };
}
