import { createBackoff } from "../../lib/backoff.ts";
import type { Clock } from "../../lib/clock.ts";
import { createPauses } from "../pause.ts";
import type { Registry } from "../registry.ts";
import { readInstances, readLeader, readServices, type ServiceList } from "./answers.ts";
import { type ClientLimits, createConsulClient } from "./client.ts";
import { createFailoverClient, type Preference } from "./failover.ts";
import { type FollowContext, follow } from "./follow.ts";
import { createRefresh } from "./refresh.ts";
import { isSameList } from "./same.ts";
import { OWN_SERVICE } from "./selection.ts";
import { createServiceWatches, type ServiceWatches, type WatchParts } from "./service-watches.ts";
import type { ConsulSettings } from "./settings.ts";
import { createSharedWatch } from "./shared-watch.ts";

/** Bounds of the adaptor; the defaults suit Consul's own. */
export interface ConsulOptions extends ClientLimits {
  readonly clock: Clock;
  /** How long a query for the list of services may wait. It also bounds how late a Consul that went silent is noticed. */
  readonly listWaitMs: number;
  /** How long a query for one service's instances may wait. */
  readonly serviceWaitMs: number;
  /** Up to how many services have a watch each, over a connection of its own; more share one. Consul resets clients that hold more than 200. */
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

/** Shared watches are given up for one each only when there are clearly fewer services, so that one that comes and goes does not turn it all over. */
const BACK_TO_OWN = 0.8;

/**
 * The servers of a cluster always register themselves. A token that may see less than before leaves them out together with the rest, and Consul calls that no error: when they are missing where
 * they were listed, so may anything be.
 */
interface OwnService {
  isListed: boolean;
}

const OWN_IS_MISSING = "Consul no longer lists its own service, so the token may see less than before";

/** Consul, watched by blocking queries: one for the list of services, and one for each service's instances, or where there are many, one for the checks of all. */
export function createConsulRegistry(settings: ConsulSettings, options: ConsulOptions): Registry {
  const refreshes = new Set<() => void>();
  const own: OwnService = { isListed: false };
  const preference: Preference = { at: 0 };
  const openClient = () =>
    createFailoverClient(
      [settings.address, ...settings.moreAddresses],
      (address) => createConsulClient({ ...settings, address }, options),
      preference,
    );
  return {
    async watch(report, resumeIndex, signal) {
      const client = openClient();
      const refresh = createRefresh();
      const context: FollowContext = {
        clock: options.clock,
        newBackoff: () => createBackoff(settings.retry),
        pauses: createPauses(options.clock),
        damping: createPauses(options.clock),
        refresh,
      };
      const { selection } = settings;
      const { serviceWaitMs } = options;
      const parts: WatchParts = { client, context, selection, serviceWaitMs, report };
      const watches = createWatches(parts, settings.maxWatches ?? options.maxWatches, signal);
      const askAgain = () => {
        refresh.now();
        watches.restart();
      };
      refreshes.add(askAgain);
      try {
        await followList(parts, own, options.listWaitMs, watches, resumeIndex, signal);
      } finally {
        refreshes.delete(askAgain);
        await watches.end();
        client.close();
      }
    },
    refresh() {
      for (const askAgain of refreshes) askAgain();
    },
    async confirm(service, signal) {
      const client = openClient();
      try {
        const mode = { kind: "consistent" } as const;
        const [leader, list, answer] = await Promise.all([
          client.leader(signal),
          client.services(mode, signal),
          client.instances(service, mode, signal),
        ]);
        const { instances } = readInstances(answer.body.read(), service, settings.selection);
        if (!answer.hasLeader || readLeader(leader) === "")
          return { instances, doubt: "the cluster has no leader" };
        const { ignored } = readServices(list.body.read(), settings.selection);
        return { instances, doubt: own.isListed && !ignored.has(OWN_SERVICE) ? OWN_IS_MISSING : undefined };
      } finally {
        client.close();
      }
    },
  };
}

/** A watch for each service while there are few, and a shared one while there are many. */
function createWatches(parts: WatchParts, maxWatches: number, signal: AbortSignal): ServiceWatches {
  let isShared = false;
  let present = createServiceWatches(parts, signal);
  const ending = new Set<Promise<void>>();

  function replaceBy(next: ServiceWatches): void {
    const ended = present.end();
    ending.add(ended);
    void ended.finally(() => ending.delete(ended));
    present = next;
    isShared = !isShared;
  }

  return {
    watch(services, index) {
      if (!isShared && services.size > maxWatches) replaceBy(createSharedWatch(parts, signal));
      else if (isShared && services.size <= maxWatches * BACK_TO_OWN)
        replaceBy(createServiceWatches(parts, signal));
      present.watch(services, index);
    },
    restart: () => present.restart(),
    async end() {
      await Promise.all([present.end(), ...ending]);
    },
  };
}

function followList(
  { client, context, selection, report }: WatchParts,
  own: OwnService,
  waitMs: number,
  watches: ServiceWatches,
  resumeIndex: bigint,
  signal: AbortSignal,
): Promise<void> {
  return follow<ServiceList>(
    {
      ask: client.services,
      read: (body) => readServices(body, selection),
      isSame: isSameList,
      waitMs,
      restMs: (_list, isNew) => (isNew ? 0 : LIST_REST_MS),
      resumeIndex,
      onAnswer({ taken, ignored }, index) {
        const listsOwn = ignored.has(OWN_SERVICE);
        if (own.isListed && !listsOwn) report({ kind: "doubt", service: undefined, reason: OWN_IS_MISSING });
        own.isListed = listsOwn;
        report({ kind: "services", services: taken, ignored, index });
        watches.watch(taken, index);
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
