import { Events, WatchResponseSchema } from "../../gen/haplane/v1/events_pb.js";
import type { EventHub } from "../events/event-hub.ts";
import type { PresentState } from "../events/present-state.ts";
import { Encoded } from "../rpc/encoded.ts";
import { type Service, service } from "../rpc/handler.ts";

/** `haplane.v1.Events` over the hub; `present` is what `include_current` begins with. */
export function eventsService(hub: EventHub, present: PresentState): Service {
  const current = () => present.events();
  return service(Events, {
    async *watch({ cursor, kinds, resourcePrefixes, includeCurrent }, { signal }) {
      const watch = hub.watch({ cursor, kinds, resourcePrefixes, includeCurrent, signal, current });
      for await (const { bytes } of watch) yield Encoded.ofBytes(WatchResponseSchema, bytes);
    },
  });
}
