import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { WatchResponseSchema } from "../../gen/haplane/v1/events_pb.js";
import { Encoded } from "./encoded.ts";

test("each form is made once and kept", () => {
  const message = create(WatchResponseSchema, { cursor: "c", revision: 7n });
  const encoded = Encoded.ofMessage(WatchResponseSchema, message);
  assert.equal(encoded.message, message);
  assert.deepEqual(encoded.bytes, toBinary(WatchResponseSchema, message));
  assert.equal(encoded.bytes, encoded.bytes);

  const decoded = Encoded.ofBytes(WatchResponseSchema, encoded.bytes);
  assert.equal(decoded.bytes, encoded.bytes);
  assert.deepEqual(decoded.message, message);
  assert.equal(decoded.message, decoded.message);
});
