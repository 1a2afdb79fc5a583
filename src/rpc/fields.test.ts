import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { DurationSchema, durationFromMs } from "@bufbuild/protobuf/wkt";
import { DomainError } from "../lib/errors.ts";
import { checkFields } from "./fields.ts";

test("what is right passes, and the result is handed on", () => {
  const ms = checkFields((check) => {
    check.required("name", "a");
    check.range("port", 1, 1, 65_535);
    check.range("port", 65_535, 1, 65_535);
    return check.duration("timeout", durationFromMs(1_500), 10, 0, 2_000);
  });
  assert.equal(ms, 1_500);
  assert.equal(
    checkFields((check) => check.duration("timeout", undefined, 10, 0, 2_000)),
    10,
  );
});

test("everything that is wrong is said at once", () => {
  const inspect = () =>
    checkFields((check) => {
      check.required("source", undefined);
      check.required("source.name", "");
      check.range("source.consul.port", 65_536, 1, 65_535);
      check.range("weight", Number.NaN, 0, 256);
      check.duration("retry_timeout", durationFromMs(-1), 10, 0, 2_000);
    });
  assert.throws(inspect, (error) => {
    assert.ok(error instanceof DomainError);
    assert.equal(error.reason, "FIELD_INVALID");
    assert.deepEqual(error.violations, [
      { field: "source", description: "is required" },
      { field: "source.name", description: "is required" },
      { field: "source.consul.port", description: "must be 1 to 65535; it is 65536" },
      { field: "weight", description: "must be 0 to 256; it is NaN" },
      { field: "retry_timeout", description: "must be 0s to 2s; it is -0.001s" },
    ]);
    return true;
  });
});

test("a duration becomes whole milliseconds, since times are kept in those", () => {
  const value = create(DurationSchema, { seconds: 1n, nanos: 642_578_125 });
  assert.equal(
    checkFields((check) => check.duration("timeout", value, 0, 0, 10_000)),
    1_643,
  );
});
