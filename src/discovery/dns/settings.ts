import { DnsRecords } from "../../../gen/haplane/v1/service_discovery_pb.js";
import type { BackoffOptions } from "../../lib/backoff.ts";
import { durationMs } from "../durations.ts";
import type { SourceSettings } from "../source-settings.ts";

/** A DNS name whose records are the instances of a service. */
export interface DnsName {
  /** The service as the source calls it. */
  readonly service: string;
  readonly name: string;
  readonly records: "SRV" | "A" | "AAAA";
  /** The port of all instances; 0 for SRV, which has its own. */
  readonly port: number;
}

/** Which names are asked for, and of whom. */
export interface DnsSettings {
  /** Addresses of DNS servers, with a port where it is not 53; none for those of the system. */
  readonly servers: readonly string[];
  readonly names: readonly DnsName[];
  /** How long to wait between two rounds of queries, in milliseconds. */
  readonly intervalMs: number;
  /** The waits after failed queries. */
  readonly retry: BackoffOptions;
}

const RECORDS = {
  [DnsRecords.UNSPECIFIED]: "SRV",
  [DnsRecords.SRV]: "SRV",
  [DnsRecords.A]: "A",
  [DnsRecords.AAAA]: "AAAA",
} as const;

/** How the names of a source are asked for. */
export function dnsSettings(
  { servers, names, interval }: Extract<SourceSettings["registry"], { case: "dns" }>["value"],
  retry: BackoffOptions,
): DnsSettings {
  return {
    servers,
    names: names.map(({ service, name, records, port }) => ({
      service,
      name,
      records: RECORDS[records],
      port,
    })),
    intervalMs: durationMs(interval),
    retry,
  };
}
