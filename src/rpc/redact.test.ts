import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
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
