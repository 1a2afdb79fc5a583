import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { UpdateRequestSchema } from "../../gen/haplane/v1/configuration_pb.js";
import {
  BatchSetServersRequestSchema,
  SetStickTableEntryRequestSchema,
  WatchStatsRequestSchema,
} from "../../gen/haplane/v1/runtime_pb.js";
import { StatsType } from "../../gen/haplane/v1/runtime_stats_pb.js";
import {
  CreateSourceRequestSchema,
  ListSourcesResponseSchema,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import { redactedJson } from "./redact.ts";

const source = {
  name: "sources/a",
  registry: { case: "consul", value: { address: "127.0.0.1", token: "hunter2" } },
} as const;

test("secrets are hidden at any depth, and the message stays as it is", () => {
  const request = create(CreateSourceRequestSchema, { source });
  const expected = { source: { name: "sources/a", consul: { address: "127.0.0.1", token: "[redacted]" } } };
  assert.deepEqual(redactedJson(CreateSourceRequestSchema, request), expected);
  assert.equal(request.source?.registry.case === "consul" && request.source.registry.value.token, "hunter2");

  const list = create(ListSourcesResponseSchema, { sources: [source, source] });
  assert.doesNotMatch(JSON.stringify(redactedJson(ListSourcesResponseSchema, list)), /hunter2/);
});

test("what is not set is not said to be", () => {
  const request = create(CreateSourceRequestSchema, { source: { registry: { case: "consul", value: {} } } });
  assert.deepEqual(redactedJson(CreateSourceRequestSchema, request), { source: { consul: {} } });
});

test("of what is long only the beginning is told, and whatever kind a field is of it comes through", () => {
  const requests = Array.from({ length: 10_000 }, (_, n) => ({
    name: `backends/b/servers/s${n}`,
    weight: n,
  }));
  const batch = create(BatchSetServersRequestSchema, { requests });
  const told = redactedJson(BatchSetServersRequestSchema, batch, 4_096) as { requests: object[] };
  assert.deepEqual(told.requests[1], { name: "backends/b/servers/s1", weight: 1 });
  assert.ok(told.requests.length > 50 && told.requests.length < 400, String(told.requests.length));
  assert.ok(JSON.stringify(told).length >= 4_096);
  const long = create(BatchSetServersRequestSchema, { requests: [{ name: "n".repeat(1e6) }] });
  assert.ok(JSON.stringify(redactedJson(BatchSetServersRequestSchema, long, 4_096)).length < 5_000);

  const everything = create(SetStickTableEntryRequestSchema, {
    table: "t",
    key: "k",
    data: { gpc0: 1n, gpc1: 2n },
  });
  assert.deepEqual(redactedJson(SetStickTableEntryRequestSchema, everything), {
    ...{ table: "t", key: "k", data: { gpc0: "1", gpc1: "2" } },
  });
  const timed = create(WatchStatsRequestSchema, { types: [StatsType.SERVER], interval: { seconds: 2n } });
  assert.deepEqual(redactedJson(WatchStatsRequestSchema, timed), {
    ...{ types: ["STATS_TYPE_SERVER"], interval: "2s" },
  });
});

test("a line of the configuration as text may be a secret, so it is hidden", () => {
  const unmodelledLines = [{ text: "user tom insecure-password hunter2 more", reason: "", line: 2 }];
  const request = create(UpdateRequestSchema, {
    resource: { name: "userlists/ops", kind: { case: "userlist", value: { unmodelledLines } } },
  });
  assert.deepEqual(redactedJson(UpdateRequestSchema, request), {
    resource: { name: "userlists/ops", userlist: { unmodelledLines: [{ text: "[redacted]", line: 2 }] } },
  });
});
