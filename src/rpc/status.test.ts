import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { status as Code } from "@grpc/grpc-js";
import fc from "fast-check";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  QuotaFailureSchema,
  RequestInfoSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "../../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { declaredReasons, errorsPage } from "../../scripts/errors-page.ts";
import { DomainError, type ErrorFacts, type ErrorReason } from "../lib/errors.ts";
import { REASONS, statusOf, toRpcStatus } from "./status.ts";

const find = {
  info: ErrorInfoSchema,
  request: RequestInfoSchema,
  resource: ResourceInfoSchema,
  retry: RetryInfoSchema,
  badRequest: BadRequestSchema,
  precondition: PreconditionFailureSchema,
  quota: QuotaFailureSchema,
};

/** The details of a status, as a client finds them. */
function detailsOf(error: unknown) {
  const status = toRpcStatus(statusOf(error, "request-1"));
  const entries = Object.entries(find).map(([name, schema]) => {
    const found = status.details.map((any) => anyUnpack(any, schema)).filter((value) => value !== undefined);
    assert.ok(found.length <= 1, `more than one ${name}`);
    return [name, found[0]];
  });
  return { code: status.code, message: status.message, ...Object.fromEntries(entries) };
}

test("the enum, the table and docs/errors.md agree", () => {
  const declared = declaredReasons();
  assert.deepEqual(declared.map(({ name }) => name).sort(), Object.keys(REASONS).sort());
  for (const { name, comment } of declared) {
    const { code, retryAfterMs } = REASONS[name as ErrorReason];
    assert.match(comment, new RegExp(`\\b${Code[code]}\\b`), `the comment of ${name} names its code`);
    assert.equal(
      /RetryInfo/.test(comment),
      retryAfterMs !== undefined,
      `the comment of ${name} names RetryInfo`,
    );
  }
  const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  assert.equal(page, errorsPage(declared), "docs/errors.md is out of date: node scripts/errors-page.ts");
});

test("every reason comes with ErrorInfo and RequestInfo", () => {
  for (const reason of Object.keys(REASONS) as ErrorReason[]) {
    const { code, message, info, request } = detailsOf(new DomainError(reason, "a sentence"));
    assert.equal(code, REASONS[reason].code);
    assert.equal(message, "a sentence");
    assert.equal(info.reason, reason);
    assert.equal(info.domain, "haplane");
    assert.equal(request.requestId, "request-1");
  }
});

const facts: {
  name: string;
  reason: ErrorReason;
  facts: ErrorFacts;
  expect: (found: ReturnType<typeof detailsOf>) => void;
}[] = [
  {
    name: "violations of fields become BadRequest",
    reason: "FIELD_INVALID",
    facts: { violations: [{ field: "source.consul.port", description: "must be 1 to 65535" }] },
    expect: ({ badRequest, precondition }) => {
      assert.equal(badRequest.fieldViolations[0].field, "source.consul.port");
      assert.equal(badRequest.fieldViolations[0].description, "must be 1 to 65535");
      assert.equal(precondition, undefined);
    },
  },
  {
    name: "alerts become PreconditionFailure, each with its resource or its line",
    reason: "CONFIGURATION_REFUSED",
    facts: {
      alerts: [
        { file: "haproxy.cfg", line: 7, message: "unknown keyword" },
        { file: "haproxy.cfg", line: 9, message: "no such backend", resource: "frontends/web" },
        { file: "", line: 0, message: "unknown backend" },
      ],
    },
    expect: ({ precondition }) => {
      assert.deepEqual(
        precondition.violations.map((violation: { type: string; subject: string; description: string }) => [
          violation.type,
          violation.subject,
          violation.description,
        ]),
        [
          ["ALERT", "haproxy.cfg:7", "unknown keyword"],
          ["ALERT", "frontends/web", "no such backend"],
          ["ALERT", "", "unknown backend"],
        ],
      );
    },
  },
  {
    name: "the resource becomes ResourceInfo",
    reason: "RESOURCE_NOT_FOUND",
    facts: { resource: { type: "source", name: "sources/a" } },
    expect: ({ resource }) =>
      assert.deepEqual([resource.resourceType, resource.resourceName], ["source", "sources/a"]),
  },
  {
    name: "a limit becomes QuotaFailure",
    reason: "LIMIT_EXCEEDED",
    facts: { metadata: { limit: "100 streams" } },
    expect: ({ quota, info }) => {
      assert.equal(quota.violations[0].subject, "100 streams");
      assert.equal(info.metadata.limit, "100 streams");
    },
  },
  {
    name: "the error's own time to retry wins",
    reason: "HAPROXY_UNAVAILABLE",
    facts: { retryAfterMs: 2_500 },
    expect: ({ retry }) =>
      assert.deepEqual([retry.retryDelay.seconds, retry.retryDelay.nanos], [2n, 500_000_000]),
  },
  {
    name: "keys of metadata are written as in the proto",
    reason: "CURSOR_EXPIRED",
    facts: { metadata: { oldestCursor: "c" } },
    expect: ({ info }) => assert.deepEqual({ ...info.metadata }, { oldest_cursor: "c" }),
  },
];
for (const { name, reason, facts: given, expect } of facts) {
  test(name, () => expect(detailsOf(new DomainError(reason, "a sentence", given))));
}

test("what is no DomainError tells nothing but a request id", () => {
  for (const thrown of [new Error("password=hunter2"), "hunter2", undefined, null, { hunter2: 1 }]) {
    const { code, message, info } = detailsOf(thrown);
    assert.equal(code, Code.INTERNAL);
    assert.equal(info.reason, "INTERNAL");
    assert.deepEqual({ ...info.metadata }, { request_id: "request-1" });
    assert.match(message, /request-1/);
    assert.doesNotMatch(JSON.stringify(detailsOf(thrown), bigints), /hunter2/);
  }
});

test("the cause of a DomainError stays with us", () => {
  const error = new DomainError("STORE_UNAVAILABLE", "the disk is full", {
    cause: new Error("/secret/path"),
  });
  assert.doesNotMatch(JSON.stringify(detailsOf(error), bigints), /secret/);
});

test("a status always fits into a header, and its texts are well-formed", () => {
  const text = fc.string({ unit: "binary", maxLength: 1_500, size: "max" });
  const list = <T>(element: fc.Arbitrary<T>) => fc.array(element, { maxLength: 20, size: "max" });
  fc.assert(
    fc.property(
      text,
      list(fc.record({ field: text, description: text })),
      list(fc.record({ file: text, line: fc.nat(), message: text })),
      fc.dictionary(fc.constantFrom("sent", "current", "output", "limit"), text),
      fc.constantFrom(...(Object.keys(REASONS) as ErrorReason[])),
      (message, violations, alerts, metadata, reason) => {
        const resource = { type: "server", name: message };
        const error = new DomainError(reason, message, { violations, alerts, metadata, resource });
        const status = statusOf(error, "r".repeat(128));
        assert.ok(toBinary(StatusSchema, toRpcStatus(status)).byteLength <= 6_000);
        assert.ok(encodeURIComponent(status.message).length <= 3 * 600);
      },
    ),
    { numRuns: 30 },
  );
});

test("a list that is cut says how many are missing", () => {
  const violations = Array.from({ length: 500 }, (_, index) => ({
    field: `servers[${index}].port`,
    description: "is required",
  }));
  const { badRequest } = detailsOf(new DomainError("FIELD_INVALID", "many", { violations }));
  const kept = badRequest.fieldViolations.length - 1;
  assert.ok(kept > 20);
  assert.equal(badRequest.fieldViolations.at(-1).description, `${500 - kept} more`);
});

function bigints(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}
