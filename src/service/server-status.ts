import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Event,
  EventKind,
  EventSchema,
  EventType,
  ServerStatus,
} from "../../gen/haplane/v1/events_pb.js";
import { formatName } from "../config/name.ts";
import type { EventHub } from "../events/event-hub.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { ServerState } from "../haproxy/server-states.ts";
import type { Clock } from "../lib/clock.ts";

/** How often the servers are looked at, and how many times longer than the last look the pause is at least. */
const LOOK_MS = 400;
const REST = 19;

/** What the servers are watched with. */
export interface ServerStatusOptions {
  readonly haproxy: Pick<Haproxy, "runtime" | "state">;
  readonly hub: Pick<EventHub, "subscribeDemand" | "publishEphemeral">;
  readonly clock: Clock;
}

/**
 * Tells of servers whose status changes in the running HAProxy. One look is shared by all watchers; there is none while nobody watches. Servers that come and go are told of by the
 * configuration's own events. Returns the way to stop.
 */
export function watchServerStatus({ haproxy, hub, clock }: ServerStatusOptions): () => void {
  let known: Map<string, ServerStatus> | undefined;
  let watching: AbortController | undefined;

  const look = async (signal: AbortSignal): Promise<number> => {
    if (haproxy.state.kind !== "running") {
      known = undefined;
      return LOOK_MS;
    }
    const started = clock.monotonic();
    const states = await haproxy.runtime.serverStates(undefined, { signal });
    if (signal.aborted) return LOOK_MS;
    const [statuses, events] = compare(known, states, clock.now());
    known = statuses;
    hub.publishEphemeral(events);
    return Math.max(LOOK_MS, REST * (clock.monotonic() - started));
  };
  const run = async (signal: AbortSignal) => {
    // HAProxy that does not answer is a state of the process, which is told of elsewhere; what is known is compared with what comes after it.
    const pause = await look(signal).catch(() => LOOK_MS);
    if (signal.aborted) return;
    const cancel = clock.after(pause, () => {
      signal.removeEventListener("abort", cancel);
      void run(signal);
    });
    signal.addEventListener("abort", cancel, { once: true });
  };
  const rest = () => {
    watching?.abort();
    known = undefined;
  };
  const unsubscribe = hub.subscribeDemand(EventKind.SERVER_STATUS, (isWanted) => {
    rest();
    if (!isWanted) return;
    watching = new AbortController();
    void run(watching.signal);
  });
  return () => {
    unsubscribe();
    rest();
  };
}

/** The statuses of all servers, and an event for each that was known to have another. */
function compare(
  known: ReadonlyMap<string, ServerStatus> | undefined,
  states: readonly ServerState[],
  now: number,
): [Map<string, ServerStatus>, Event[]] {
  const statuses = new Map<string, ServerStatus>();
  const events: Event[] = [];
  for (const state of states) {
    const key = `${state.backend}/${state.server}`;
    const status = statusOf(state);
    const previous = known?.get(key);
    statuses.set(key, status);
    if (previous !== undefined && previous !== status) events.push(statusEvent(state, status, previous, now));
  }
  return [statuses, events];
}

const OPERATIONAL: Readonly<Record<ServerState["operational"], ServerStatus>> = {
  stopped: ServerStatus.DOWN,
  starting: ServerStatus.STARTING,
  running: ServerStatus.UP,
  stopping: ServerStatus.STOPPING,
};

function statusOf({ admin, operational }: ServerState): ServerStatus {
  // "disabled" in the configuration shows for good; what is in force is in the other bits.
  if (admin.forcedMaint || admin.inheritedMaint || admin.unresolved) return ServerStatus.MAINT;
  // A server that is down takes nothing, drained or not.
  if ((admin.forcedDrain || admin.inheritedDrain) && operational !== "stopped") return ServerStatus.DRAIN;
  return OPERATIONAL[operational];
}

function statusEvent(
  { backend, server, weight }: ServerState,
  status: ServerStatus,
  previous: ServerStatus,
  now: number,
): Event {
  return create(EventSchema, {
    ...{ kind: EventKind.SERVER_STATUS, type: EventType.UPDATED, time: timestampFromMs(now) },
    ...{ resource: formatName("backends", backend, "servers", server), author: "haproxy" },
    payload: { case: "serverStatus", value: { backend, server, status, previous, weight } },
  });
}
