import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { metricsPage } from "../../scripts/metrics-page.ts";

test("docs/metrics.md names every metric", () => {
  const page = readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8");
  assert.equal(page, metricsPage(), "docs/metrics.md is out of date: node scripts/metrics-page.ts");
});

test("every metric that the dashboard asks for is one of them", () => {
  const text = readFileSync(new URL("../../docs/grafana-dashboard.json", import.meta.url), "utf8");
  const { panels } = JSON.parse(text) as { panels: { title: string; targets: { expr: string }[] }[] };
  const known = new Set([...metricsPage().matchAll(/^\| `(\w+)` \| (\w+) /gm)].map(([, name]) => name));
  const asked = panels.flatMap(({ targets }) =>
    targets.flatMap(({ expr }) => [...expr.matchAll(/\bhaplane_\w+/g)].map(([name]) => name)),
  );
  assert.ok(asked.length > panels.length);
  // A histogram has its samples under names of their own.
  for (const name of asked) assert.ok(known.has(name.replace(/_(bucket|sum|count)$/, "")), name);
});
