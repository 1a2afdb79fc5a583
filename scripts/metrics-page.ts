/** Writes docs/metrics.md from the metrics as they are registered. `node scripts/metrics-page.ts` */

import { writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Registry } from "prom-client";
import { createRpcMetrics } from "../src/rpc/metrics.ts";
import { createCommitMetrics } from "../src/service/commit-metrics.ts";
import { createDiscoveryMetrics } from "../src/service/discovery-metrics.ts";
import { type MetricsSources, registerMetrics } from "../src/service/metrics.ts";

const page = fileURLToPath(new URL("../docs/metrics.md", import.meta.url));

/** What prom-client knows of a metric, beside its values. */
interface Described {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames: readonly string[];
}

/** The page, as Markdown. */
export function metricsPage(): string {
  const registry = new Registry();
  createRpcMetrics(registry);
  // Their values are read from the parts only when they are asked for.
  registerMetrics(registry, {} as MetricsSources);
  createCommitMetrics(registry);
  createDiscoveryMetrics(registry);
  const metrics = registry.getMetricsAsArray() as unknown as Described[];
  const rows = metrics.map(({ name, help, type, labelNames }) => {
    const labels = labelNames.map((label) => `\`${label}\``).join(", ");
    return `| \`${name}\` | ${type} | ${labels} | ${help} |`;
  });
  return `# Metrics

<!-- Written by scripts/metrics-page.ts from the metrics as they are registered. -->

\`/metrics\` on the Connect listener, in Prometheus' text format. It needs credentials with the role \`viewer\`, like any RPC that reads:

\`\`\`yaml
scrape_configs:
  - job_name: haplane
    authorization:
      credentials_file: /var/lib/haplane/admin.token
    static_configs:
      - targets: ["127.0.0.1:5556"]
\`\`\`

Names and labels are part of the API: they change as carefully as a proto does. [A dashboard for Grafana](grafana-dashboard.json) shows them: import it and choose the data source.

| name | type | labels | meaning |
|---|---|---|---|
${rows.join("\n")}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(page, metricsPage());
