import { createBackoff } from "../../lib/backoff.ts";
import type { Clock } from "../../lib/clock.ts";
import { DomainError } from "../../lib/errors.ts";
import type { Instance, LeftOut, Registry, RegistryEvent } from "../registry.ts";
import { readInstances, readLeader, readServices, type ServiceAnswer, type ServiceList } from "./answers.ts";
import { type ClientLimits, type ConsulClient, createConsulClient } from "./client.ts";
import { type FollowContext, follow } from "./follow.ts";
import { createPauses } from "./pause.ts";
import type { Selection } from "./selection.ts";
import type { ConsulSettings } from "./settings.ts";

/** Bounds of the adaptor; the defaults suit Consul's own. */
export interface ConsulOptions extends ClientLimits {
  readonly clock: Clock;
  /** How long a query for the list of services may wait. It also bounds how late a Consul that went silent is noticed. */
  readonly listWaitMs: number;
  /** How long a query for one service's instances may wait. */
  readonly serviceWaitMs: number;
  /** How many services are watched, each over a connection of its own. Consul resets clients that hold more than 200. */
  readonly maxWatches: number;
}

/** The bounds that haplane runs with. */
export const CONSUL_DEFAULTS = {
  answerMs: 10_000,
  maxBytes: 64 * 1024 * 1024,
  listWaitMs: 60_000,
  serviceWaitMs: 300_000,
  maxWatches: 100,
} as const satisfies Omit<ConsulOptions, "clock">;

/**
 * Consul wakes the query for the list whenever an instance of any service comes or goes. The query for that service's instances wakes at the same moment, and what
 * follows from it must not wait for the next query for the list.
 */
const LIST_REST_MS = 20;

type Report = (event: RegistryEvent) => void;

/** Consul, watched by blocking queries: one for the list of services, and one for each service's instances. */
export function createConsulRegistry(settings: ConsulSettings, options: ConsulOptions): Registry {
  return {
    async watch(report, resumeIndex, signal) {
      const client = createConsulClient(settings, options);
      const context: FollowContext = {
        clock: options.clock,
        newBackoff: () => createBackoff(settings.retry),
        pauses: createPauses(options.clock),
        damping: createPauses(options.clock),
      };
      const watches = createServiceWatches(client, context, settings.selection, options, report, signal);
      try {
        await followList(client, context, settings.selection, options, report, watches, resumeIndex, signal);
      } finally {
        await watches.ended();
        client.close();
      }
    },
    async confirm(service, signal) {
      const client = createConsulClient(settings, options);
      try {
        const [leader, answer] = await Promise.all([
          client.leader(signal),
          client.instances(service, { kind: "consistent" }, signal),
        ]);
        return {
          instances: readInstances(answer.body, service, settings.selection).instances,
          hasLeader: answer.hasLeader && readLeader(leader) !== "",
        };
      } finally {
        client.close();
      }
    },
  };
}

function followList(
  client: ConsulClient,
  context: FollowContext,
  selection: Selection,
  options: ConsulOptions,
  report: Report,
  watches: ServiceWatches,
  resumeIndex: bigint,
  signal: AbortSignal,
): Promise<void> {
  return follow<ServiceList>(
    {
      ask: client.services,
      read: (body) => readServices(body, selection),
      isSame: isSameList,
      waitMs: options.listWaitMs,
      restMs: LIST_REST_MS,
      resumeIndex,
      onAnswer({ taken, ignored }, index) {
        report({ kind: "services", services: taken, ignored, index });
        watches.watch(taken);
      },
      onDoubt(reason) {
        report({ kind: "doubt", service: undefined, reason });
        watches.restart();
      },
      onFailure: (error) => report({ kind: "failure", service: undefined, error }),
    },
    context,
    signal,
  );
}

/** The queries for the instances of services. */
interface ServiceWatches {
  /** Watches these services, up to the limit, and no other. */
  watch(services: ReadonlySet<string>): void;
  /** Asks again for every service at once. */
  restart(): void;
  /** Resolves when no query is left, once the signal has aborted. */
  ended(): Promise<void>;
}

function createServiceWatches(
  client: ConsulClient,
  context: FollowContext,
  selection: Selection,
  options: ConsulOptions,
  report: Report,
  signal: AbortSignal,
): ServiceWatches {
  const active = new Map<string, AbortController>();
  const running = new Set<Promise<void>>();

  function start(service: string): void {
    const own = new AbortController();
    active.set(service, own);
    const run = followService(
      client,
      context,
      selection,
      options,
      report,
      service,
      AbortSignal.any([signal, own.signal]),
    );
    running.add(run);
    void run.finally(() => running.delete(run));
  }

  return {
    watch(services) {
      for (const [service, own] of active) {
        if (services.has(service)) continue;
        active.delete(service);
        own.abort();
      }
      for (const service of services) {
        if (active.has(service)) continue;
        if (active.size < options.maxWatches) start(service);
        else report({ kind: "failure", service, error: tooMany(options.maxWatches) });
      }
    },
    restart() {
      const services = [...active.keys()];
      for (const own of active.values()) own.abort();
      active.clear();
      for (const service of services) start(service);
    },
    async ended() {
      await Promise.all(running);
    },
  };
}

function followService(
  client: ConsulClient,
  context: FollowContext,
  selection: Selection,
  options: ConsulOptions,
  report: Report,
  service: string,
  signal: AbortSignal,
): Promise<void> {
  return follow<ServiceAnswer>(
    {
      ask: (mode, signal) => client.instances(service, mode, signal),
      read: (body) => readInstances(body, service, selection),
      isSame: isSameAnswer,
      waitMs: options.serviceWaitMs,
      restMs: 0,
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

function isSameList(a: ServiceList, b: ServiceList): boolean {
  return (
    isSameSet(a.taken, b.taken) &&
    a.ignored.size === b.ignored.size &&
    [...a.ignored].every(([name, reason]) => b.ignored.get(name) === reason)
  );
}

function isSameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((name) => b.has(name));
}

function isSameAnswer(a: ServiceAnswer, b: ServiceAnswer): boolean {
  return (
    a.instances.length === b.instances.length &&
    a.leftOut.length === b.leftOut.length &&
    a.instances.every((instance, i) => isSameInstance(instance, b.instances[i] as Instance)) &&
    a.leftOut.every((left, i) => isSameLeftOut(left, b.leftOut[i] as LeftOut))
  );
}

function isSameInstance(a: Instance, b: Instance): boolean {
  return (
    a.node === b.node &&
    a.id === b.id &&
    a.address === b.address &&
    a.port === b.port &&
    a.weight === b.weight
  );
}

function isSameLeftOut(a: LeftOut, b: LeftOut): boolean {
  return a.node === b.node && a.id === b.id && a.reason === b.reason;
}

function tooMany(limit: number): DomainError {
  return new DomainError(
    "LIMIT_EXCEEDED",
    `no more than ${limit} services are watched; this one is left as it is`,
  );
}
