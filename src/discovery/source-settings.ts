import type { Duration } from "@bufbuild/protobuf/wkt";
import type { ConsulRegistry, DnsRegistry, Source } from "../../gen/haplane/v1/service_discovery_pb.js";

/**
 * The settings of a source: a `Source` message in which every default is filled in, the secrets are there, and what is output only (etag, status, …_set) is not. It is
 * what the store keeps and what an etag is made of.
 */
export type SourceSettings = Source & {
  readonly enabled: boolean;
  readonly retryTimeout: Duration;
  readonly acceptLossAfter: Duration;
  readonly lossPercent: number;
  readonly drainTime: Duration;
  readonly registry:
    | { readonly case: "consul"; readonly value: ConsulRegistry & { readonly port: number } }
    | { readonly case: "dns"; readonly value: DnsRegistry & { readonly interval: Duration } };
};
