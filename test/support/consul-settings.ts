import { SELECT_ALL } from "../../src/discovery/consul/selection.ts";
import type { ConsulSettings } from "../../src/discovery/consul/settings.ts";

/** Settings of a Consul that takes everything, with retries that a test can wait for. */
export function plainSettings(
  address: string,
  port: number,
  settings: Partial<ConsulSettings> = {},
): ConsulSettings {
  return {
    ...{
      address,
      moreAddresses: [],
      port,
      token: "",
      tls: undefined,
      datacenter: "",
      namespace: "",
      partition: "",
    },
    selection: SELECT_ALL,
    maxWatches: undefined,
    retry: { firstMs: 20, maxMs: 60 },
    ...settings,
  };
}
