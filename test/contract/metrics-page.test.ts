import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { metricsPage } from "../../scripts/metrics-page.ts";

test("docs/metrics.md names every metric", () => {
  const page = readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8");
  assert.equal(page, metricsPage(), "docs/metrics.md is out of date: node scripts/metrics-page.ts");
});
