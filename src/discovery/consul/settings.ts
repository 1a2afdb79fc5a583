import { AddressChoice, type ConsulTls, HealthPolicy } from "../../../gen/haplane/v1/service_discovery_pb.js";
import type { BackoffOptions } from "../../lib/backoff.ts";
import type { SourceSettings } from "../source-settings.ts";
import { compilePattern } from "./name-pattern.ts";
import type { Selection } from "./selection.ts";

/** How a Consul agent is reached and how it is asked. */
export interface ConsulSettings {
  /** Host name, or IP address without brackets. */
  readonly address: string;
  /** Others of the same cluster. */
  readonly moreAddresses: readonly string[];
  readonly port: number;
  /** Empty when none is sent. */
  readonly token: string;
  /** HTTPS when there is one; its texts are PEM, empty when not set. */
  readonly tls: ConsulTls | undefined;
  /** Empty for the agent's or the token's own. */
  readonly datacenter: string;
  readonly namespace: string;
  readonly partition: string;
  /** Up to how many services have a watch each; undefined for the default. */
  readonly maxWatches: number | undefined;
  /** Which services and instances are taken. */
  readonly selection: Selection;
  /** The waits after failed queries. */
  readonly retry: BackoffOptions;
}

/** How the Consul of a source is asked. */
export function consulSettings(
  consul: Extract<SourceSettings["registry"], { case: "consul" }>["value"],
  retry: BackoffOptions,
): ConsulSettings {
  const { address, moreAddresses, port, token, tls, datacenter, namespace, partition, filter } = consul;
  return {
    ...{ address, moreAddresses, port, token, tls, datacenter, namespace, partition },
    selection: {
      allow: new Set(filter?.allow),
      deny: new Set(filter?.deny),
      pattern: filter?.namePattern ? compilePattern(filter.namePattern) : undefined,
      tags: filter?.tags ?? [],
      metadata: new Map(Object.entries(filter?.metadata ?? {})),
      health: consul.health || HealthPolicy.PASSING,
      minPassing: consul.minPassing,
      address: consul.addressChoice || AddressChoice.SERVICE,
      taggedAddress: consul.taggedAddress,
      weightMetadata: consul.weightMetadata,
    },
    retry,
    maxWatches: consul.maxWatches,
  };
}
