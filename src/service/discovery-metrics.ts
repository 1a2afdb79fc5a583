import { Histogram, type Registry } from "prom-client";
import type { SourceChange } from "../discovery/sources.ts";
import { SECONDS } from "./commit-metrics.ts";

/** Measures how far discovery is behind the registries. */
export interface DiscoveryMetrics {
  /** To be told when HAProxy runs what an answer of a source's registry brought. */
  applied(source: string, tookMs: number): void;
  /** To be told of sources that go. */
  changed(change: SourceChange): void;
}

/** Registers it. Names and labels are documented in docs/metrics.md. */
export function createDiscoveryMetrics(registry: Registry): DiscoveryMetrics {
  const lag = new Histogram({
    name: "haplane_discovery_apply_seconds",
    help: "Lag of discovery: time from the moment at which haplane read an answer of the registry that adds or changes servers of a service until HAProxy ran them, reloads and retries included. What comes meanwhile counts from the first.",
    labelNames: ["source"],
    buckets: SECONDS,
    registers: [registry],
  });
  return {
    applied: (source, tookMs) => lag.observe({ source }, tookMs / 1_000),
    changed({ type, source }) {
      if (type === "removed") lag.remove({ source: source.name });
    },
  };
}
