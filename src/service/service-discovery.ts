import {
  CreateSourceRequestSchema,
  type DiscoveredService,
  ServiceDiscovery,
  type Source,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import { formatName } from "../config/name.ts";
import type { Sources } from "../discovery/sources.ts";
import { naming, type Service, service } from "../rpc/handler.ts";
import { type Paging, paginate } from "../rpc/page-token.ts";

const PAGE: Paging<Source> = { defaultSize: 100, maxSize: 1_000, key: ({ name }) => name };

const SERVICES_PAGE: Paging<DiscoveredService> = {
  defaultSize: 100,
  maxSize: 1_000,
  key: ({ name }) => name,
};

/** `haplane.v1.ServiceDiscovery` over the sources. */
export function serviceDiscoveryService(sources: Sources): Service {
  return service(
    ServiceDiscovery,
    {
      async createSource(request) {
        return { source: await sources.create(request) };
      },
      async getSource(request) {
        return { source: sources.get(request.name) };
      },
      async listSources(request) {
        const { items, nextPageToken } = paginate(sources.list(), request, PAGE);
        return { sources: [...items], nextPageToken };
      },
      async updateSource(request) {
        return { source: await sources.update(request) };
      },
      async deleteSource(request) {
        const kept = await sources.delete(request);
        return {
          keptBackends: kept.map(({ backend, reason }) => ({
            backend: formatName("backends", backend),
            reason,
          })),
        };
      },
      async syncSource(request) {
        return { source: await sources.sync(request) };
      },
      async listServices(request) {
        const { items, nextPageToken } = paginate(sources.services(request.parent), request, SERVICES_PAGE);
        return { services: [...items], nextPageToken };
      },
    },
    [naming(CreateSourceRequestSchema, ({ sourceId }) => formatName("sources", sourceId))],
  );
}
