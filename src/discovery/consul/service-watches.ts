import type { RegistryEvent } from "../registry.ts";
import { isSameAnswer, type ServiceAnswer } from "../same-answer.ts";
import { readInstances } from "./answers.ts";
import type { ConsulClient } from "./client.ts";
import { type FollowContext, follow } from "./follow.ts";
import type { Selection } from "./selection.ts";

/** What the queries for the instances of services are given. */
export interface WatchParts {
  readonly client: ConsulClient;
  readonly context: FollowContext;
  readonly selection: Selection;
  /** How long a query for one service's instances may wait, in milliseconds. */
  readonly serviceWaitMs: number;
  readonly report: (event: RegistryEvent) => void;
}

/** The queries for the instances of services. */
export interface ServiceWatches {
  /** The list of services has been answered: these are watched from now on and no other. `index` is that of the list. */
  watch(services: ReadonlySet<string>, index: bigint): void;
  /** Asks again for every service at once. */
  restart(): void;
  /** Ends them; resolves when no query is left. */
  end(): Promise<void>;
}

/** One blocking query for each service: what is prompt, as long as there are not too many. */
export function createServiceWatches(parts: WatchParts, signal: AbortSignal): ServiceWatches {
  const active = new Map<string, AbortController>();
  const running = new Set<Promise<void>>();

  function start(service: string): void {
    const own = new AbortController();
    active.set(service, own);
    const run = followService(parts, service, AbortSignal.any([signal, own.signal]));
    running.add(run);
    void run.finally(() => running.delete(run));
  }

  function stopAll(): void {
    for (const own of active.values()) own.abort();
    active.clear();
  }

  return {
    watch(services) {
      for (const [service, own] of active) {
        if (services.has(service)) continue;
        active.delete(service);
        own.abort();
      }
      for (const service of services) if (!active.has(service)) start(service);
    },
    restart() {
      const services = [...active.keys()];
      stopAll();
      for (const service of services) start(service);
    },
    async end() {
      stopAll();
      await Promise.all(running);
    },
  };
}

function followService(
  { client, context, selection, serviceWaitMs, report }: WatchParts,
  service: string,
  signal: AbortSignal,
): Promise<void> {
  return follow<ServiceAnswer>(
    {
      ask: (mode, signal) => client.instances(service, mode, signal),
      read: (body) => readInstances(body, service, selection),
      isSame: isSameAnswer,
      waitMs: serviceWaitMs,
      restMs: () => 0,
      resumeIndex: 0n,
      onAnswer: ({ instances, leftOut }, index) =>
        report({ kind: "instances", service, instances, leftOut, index }),
      onDoubt: (reason) => report({ kind: "doubt", service, reason }),
      onFailure: (error) => report({ kind: "failure", service, error }),
    },
    context,
    signal,
  );
}
