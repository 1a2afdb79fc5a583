import type { BackoffOptions } from "../../lib/backoff.ts";

/** How a Consul agent is reached and how it is asked. */
export interface ConsulSettings {
  /** Host name, or IP address without brackets. */
  readonly address: string;
  readonly port: number;
  /** Empty when none is sent. */
  readonly token: string;
  /** The waits after failed queries. */
  readonly retry: BackoffOptions;
}
