import { type Event, Events, WatchResponseSchema } from "../../gen/haplane/v1/events_pb.js";
import type { EventHub } from "../events/event-hub.ts";
import { Encoded } from "../rpc/encoded.ts";
import { type Service, service } from "../rpc/handler.ts";

/** `haplane.v1.Events` over the hub. `current` gives the present state as events, for `include_current`. */
export function eventsService(hub: EventHub, current: () => readonly Event[]): Service {
  return service(Events, {
    async *watch({ cursor, kinds, resourcePrefixes, includeCurrent }, { signal }) {
      const watch = hub.watch({ cursor, kinds, resourcePrefixes, includeCurrent, signal, current });
      for await (const { bytes } of watch) yield Encoded.ofBytes(WatchResponseSchema, bytes);
    },
  });
}
