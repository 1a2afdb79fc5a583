import type { Logger } from "pino";
import { createDoubtfulAsking } from "./ask-in-doubt.ts";
import type { QueryLog } from "./query-log.ts";
import type { ServiceSet } from "./service-set.ts";
import type { SourceContext, SourceTask } from "./source-task.ts";
import { isEveryFollowerDone, isEveryServiceThere, stateOf } from "./state-of.ts";
import type { State } from "./status.ts";
import type { Steady } from "./steady.ts";

/** What is reviewed, and who hears of it. */
export interface ReviewOptions {
  readonly context: SourceContext;
  readonly task: SourceTask;
  readonly logger: Logger;
  readonly services: ServiceSet;
  readonly steady: Steady;
  readonly queries: QueryLog;
}

/** Works out from the facts what state a run is in, and tells of what has changed. */
export interface Review {
  /** As of now. */
  readonly state: State;
  /** Why the registry is in doubt, as of now; empty when it is not. */
  readonly doubt: string;
  /** Reviews once what happens in one turn of the event loop: with a thousand services, to look at all for each answer would cost most of it. */
  soon(): void;
  /** Reviews at once. */
  now(): void;
  /** Resolves when nothing is under way. */
  settled(): Promise<void>;
  /** Ends, and with it every wait. */
  stop(): void;
}

/** A review that begins with the doubt of the run before. */
export function createReview({ context, task, logger, services, steady, queries }: ReviewOptions): Review {
  const asking = createDoubtfulAsking(context.clock, () => task.registry.refresh());
  const settling = new Set<() => void>();
  let state: State = { kind: "starting" };
  let { doubt } = task.memory;
  let isComplete = false;
  /** The review that is to come; undefined when nothing happened since the last. */
  let coming: NodeJS.Immediate | undefined;

  if (doubt !== "") steady.doubt(doubt);
  asking.set(doubt !== "");

  function review(): void {
    clearImmediate(coming);
    coming = undefined;
    noteDoubt();
    isComplete ||= services.hasList && isEveryServiceThere(services.all);
    if (settling.size > 0 && isEveryFollowerDone(services.all)) tellSettled();
    const before = state;
    state = stateOf(services.all, steady, queries, isComplete);
    task.onServices();
    if (state.kind === before.kind) return;
    logger.info({ state: state.kind, reason: "reason" in state ? state.reason : "" }, "state");
    task.onState();
  }

  function noteDoubt(): void {
    const present = steady.doubtReason;
    if (present === doubt) return;
    if (present === "") logger.info("the registry is believed again");
    else
      logger.warn({ reason: steady.reason }, "what the registry no longer lists is not believed to be gone");
    doubt = present;
    task.onMemory();
    asking.set(doubt !== "");
  }

  function tellSettled(): void {
    for (const resolve of settling) resolve();
    settling.clear();
  }

  function catchUp(): void {
    if (coming !== undefined) review();
  }

  return {
    get state() {
      catchUp();
      return state;
    },
    get doubt() {
      catchUp();
      return doubt;
    },
    soon() {
      coming ??= setImmediate(review);
    },
    now: review,
    async settled() {
      if (isEveryFollowerDone(services.all)) return;
      await new Promise<void>((resolve) => settling.add(resolve));
    },
    stop() {
      asking.stop();
      clearImmediate(coming);
      coming = undefined;
      tellSettled();
    },
  };
}
