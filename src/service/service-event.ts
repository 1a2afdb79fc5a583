import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { EventKind, type EventSchema, EventType } from "../../gen/haplane/v1/events_pb.js";
import {
  type DiscoveredService,
  DiscoveredServiceSchema,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import type { ServiceChange } from "../discovery/service-changes.ts";

const TYPES: Record<ServiceChange["type"], EventType> = {
  added: EventType.ADDED,
  updated: EventType.UPDATED,
  removed: EventType.REMOVED,
};

/** A service of ten thousand servers must not cost a megabyte of the log for each that changes. */
const MAX_SERVERS = 100;

/** The event that a change of a service is. */
export function serviceChangeEvent(
  { type, service }: ServiceChange,
  now: number,
): MessageInitShape<typeof EventSchema> {
  return serviceEvent(service, TYPES[type], now);
}

/** An event about a service. */
export function serviceEvent(
  service: DiscoveredService,
  type: EventType,
  now: number,
): MessageInitShape<typeof EventSchema> {
  const servers = service.servers.slice(0, MAX_SERVERS);
  return {
    ...{ kind: EventKind.SERVICE, type, time: timestampFromMs(now) },
    ...{ resource: service.name, author: service.name.slice(0, service.name.indexOf("/services/")) },
    payload: {
      case: "service",
      value: {
        service: create(DiscoveredServiceSchema, { ...service, servers }),
        moreServers: service.servers.length - servers.length,
      },
    },
  };
}
