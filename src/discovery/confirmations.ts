import type { Backoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { nameInstances } from "./names.ts";
import type { Confirmation, Registry } from "./registry.ts";
import type { Steady } from "./steady.ts";

/** What confirmations need of the source that they serve. */
export interface ConfirmationsOptions {
  readonly steady: Steady;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly backoff: Backoff;
  readonly signal: AbortSignal;
  /** What is kept of this service may have changed. */
  readonly onJudged: (service: string) => void;
  /** The registry gave no good answer; it is asked again after a while. */
  readonly onFailure: (error: unknown) => void;
}

/** Confirms held losses when they fall due: asks the registry once more, as strictly as it can. */
export interface Confirmations {
  /** To be called whenever what is held may have changed. */
  arm(): void;
}

/** Confirmations of what `steady` holds, one at a time, until the signal aborts. */
export function createConfirmations(options: ConfirmationsOptions): Confirmations {
  const { steady, registry, clock, backoff, signal } = options;
  let cancelTimer = () => {};
  let isAsking = false;
  signal.addEventListener("abort", () => cancelTimer(), { once: true });

  function arm(): void {
    cancelTimer();
    const due = steady.nextDue;
    if (due === undefined || isAsking || signal.aborted) return;
    cancelTimer = clock.after(Math.max(0, due.dueMs - clock.monotonic()), () => void confirmNext());
  }

  async function confirmNext(): Promise<void> {
    const service = steady.nextDue?.service;
    if (service === undefined) return;
    isAsking = true;
    const answer = await registry.confirm(service, signal).catch((error: unknown) => {
      if (!signal.aborted) options.onFailure(error);
      return undefined;
    });
    isAsking = false;
    if (signal.aborted) return;
    judge(service, answer);
    arm();
  }

  function judge(service: string, answer: Confirmation | undefined): void {
    const now = clock.monotonic();
    if (answer === undefined || listsAny(answer, steady.kept(service))) {
      // What the strict answer lists and the watch does not, the watch will list too.
      steady.postpone(service, now, now + backoff.next());
      return;
    }
    backoff.reset();
    if (answer.doubt === undefined) steady.confirm(service, now);
    else steady.doubt(answer.doubt, service);
    options.onJudged(service);
  }

  return { arm };
}

function listsAny({ instances }: Confirmation, names: ReadonlySet<string>): boolean {
  return [...nameInstances(instances).keys()].some((name) => names.has(name));
}
