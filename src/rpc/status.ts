import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack, durationFromMs } from "@bufbuild/protobuf/wkt";
import { status as Code } from "@grpc/grpc-js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  QuotaFailureSchema,
  RequestInfoSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "../../gen/google/rpc/error_details_pb.js";
import { type Status, StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { DomainError, type ErrorReason, type ErrorResource } from "../lib/errors.ts";

/** The domain of every `google.rpc.ErrorInfo` that haplane sends. */
export const ERROR_DOMAIN = "haplane";

/** What clients see of an error: its code, and the details that always come with it. */
export interface ReasonRule {
  readonly code: Code;
  /** Says when to retry, also when the error itself does not know: after this many milliseconds. */
  readonly retryAfterMs?: number;
}

/** How every reason is published. docs/errors.md is printed from this table. */
export const REASONS: Readonly<Record<ErrorReason | "INTERNAL", ReasonRule>> = {
  FIELD_INVALID: { code: Code.INVALID_ARGUMENT },
  RESOURCE_NOT_FOUND: { code: Code.NOT_FOUND },
  RESOURCE_EXISTS: { code: Code.ALREADY_EXISTS },
  ETAG_MISMATCH: { code: Code.ABORTED },
  CONFIGURATION_REFUSED: { code: Code.FAILED_PRECONDITION },
  HAPROXY_UNAVAILABLE: { code: Code.UNAVAILABLE, retryAfterMs: 1_000 },
  HAPROXY_REFUSED: { code: Code.FAILED_PRECONDITION },
  CURSOR_EXPIRED: { code: Code.OUT_OF_RANGE },
  CURSOR_FOREIGN: { code: Code.INVALID_ARGUMENT },
  LIMIT_EXCEEDED: { code: Code.RESOURCE_EXHAUSTED },
  NOT_SUPPORTED: { code: Code.FAILED_PRECONDITION },
  UNAUTHENTICATED: { code: Code.UNAUTHENTICATED },
  PERMISSION_DENIED: { code: Code.PERMISSION_DENIED },
  SHUTTING_DOWN: { code: Code.UNAVAILABLE, retryAfterMs: 1_000 },
  TIMED_OUT: { code: Code.DEADLINE_EXCEEDED },
  FILE_HELD: { code: Code.FAILED_PRECONDITION },
  STORE_UNAVAILABLE: { code: Code.UNAVAILABLE, retryAfterMs: 1_000 },
  INTERNAL: { code: Code.INTERNAL },
  CONSUL_UNAVAILABLE: { code: Code.UNAVAILABLE, retryAfterMs: 1_000 },
  DNS_UNAVAILABLE: { code: Code.UNAVAILABLE, retryAfterMs: 1_000 },
  CANCELLED: { code: Code.CANCELLED },
  STATE_LOCKED: { code: Code.FAILED_PRECONDITION },
  RESOURCE_IN_USE: { code: Code.FAILED_PRECONDITION },
  REFERENCE_MISSING: { code: Code.FAILED_PRECONDITION },
  RESOURCE_AMBIGUOUS: { code: Code.FAILED_PRECONDITION },
  CONFLICT: { code: Code.ABORTED },
  TRANSACTION_EXPIRED: { code: Code.FAILED_PRECONDITION },
  SOURCE_DISABLED: { code: Code.FAILED_PRECONDITION },
};

/**
 * Bytes that the parts of a status may take. It travels in a header, base64-encoded, and many gRPC clients accept 8 KiB of headers in all.
 */
const MAX_BYTES = { message: 600, name: 300, metadata: 1_500, violations: 2_500 };

/** A typed detail of a status. */
export interface Detail<Desc extends DescMessage = DescMessage> {
  readonly desc: Desc;
  readonly value: MessageInitShape<Desc>;
}

/** The status that a client gets, in the form that both transports start from. */
export interface CallStatus {
  readonly code: Code;
  /** A sentence without internals. */
  readonly message: string;
  readonly details: readonly Detail[];
}

/** Turns whatever a handler threw into what the client may know. What is no DomainError is a defect: the client gets a request id and nothing else. */
export function statusOf(error: unknown, requestId: string, traceparent = ""): CallStatus {
  const known =
    error instanceof DomainError
      ? error
      : {
          ...defect,
          message: `internal error; the log has its cause under request id ${requestId}`,
          metadata: { requestId },
        };
  const rule = REASONS[known.reason];
  return {
    code: rule.code,
    message: cut(known.message, MAX_BYTES.message),
    details: [
      detail(ErrorInfoSchema, {
        domain: ERROR_DOMAIN,
        reason: known.reason,
        metadata: metadataOf(known.metadata),
      }),
      ...resourceInfo(known.resource),
      ...retryInfo(known.retryAfterMs ?? rule.retryAfterMs),
      ...violations(known, rule.code),
      detail(RequestInfoSchema, {
        requestId,
        ...(traceparent !== "" && { servingData: `traceparent=${traceparent.slice(0, MAX_BYTES.name)}` }),
      }),
    ],
  };
}

/** The status as `google.rpc.Status`. */
export function toRpcStatus(status: CallStatus): Status {
  return create(StatusSchema, {
    code: status.code,
    message: status.message,
    details: status.details.map(({ desc, value }) => anyPack(desc, create(desc, value))),
  });
}

const defect = {
  reason: "INTERNAL",
  resource: undefined,
  retryAfterMs: undefined,
  violations: [],
  alerts: [],
} as const;

type Facts = Pick<DomainError, "message" | "metadata" | "violations" | "alerts" | "resource">;

function detail<Desc extends DescMessage>(desc: Desc, value: MessageInitShape<Desc>): Detail {
  return { desc, value } as unknown as Detail;
}

function metadataOf(metadata: Readonly<Record<string, string>>): Record<string, string> {
  const spend = budget(MAX_BYTES.metadata);
  return Object.fromEntries(Object.entries(metadata).map(([key, value]) => [snakeCase(key), spend(value)]));
}

function resourceInfo(resource: ErrorResource | undefined): Detail[] {
  if (resource === undefined) return [];
  const resourceName = cut(resource.name, MAX_BYTES.name);
  return [detail(ResourceInfoSchema, { resourceType: resource.type, resourceName })];
}

function retryInfo(afterMs: number | undefined): Detail[] {
  return afterMs === undefined ? [] : [detail(RetryInfoSchema, { retryDelay: durationFromMs(afterMs) })];
}

/** The lists of an error, in the detail that its code calls for. */
function violations(facts: Facts, code: Code): Detail[] {
  if (code === Code.RESOURCE_EXHAUSTED) {
    const subject = cut(facts.resource?.name ?? facts.metadata.limit ?? "", MAX_BYTES.name);
    const violation = { subject, description: cut(facts.message, MAX_BYTES.message) };
    return [detail(QuotaFailureSchema, { violations: [violation] })];
  }
  const found = bounded([
    ...facts.alerts.map((alert) => ({
      type: "ALERT",
      subject: alert.resource ?? (alert.file === "" ? "" : `${alert.file}:${alert.line}`),
      description: alert.message,
    })),
    ...facts.violations.map(({ field, description }) => ({ type: "FIELD", subject: field, description })),
  ]);
  if (found.length === 0) return [];
  if (code === Code.FAILED_PRECONDITION) return [detail(PreconditionFailureSchema, { violations: found })];
  const fieldViolations = found.map(({ subject, description }) => ({ field: subject, description }));
  return [detail(BadRequestSchema, { fieldViolations })];
}

interface Violation {
  readonly type: string;
  readonly subject: string;
  readonly description: string;
}

/** The violations that fit; the last one says how many do not. */
function bounded(all: readonly Violation[]): Violation[] {
  const kept: Violation[] = [];
  let left = MAX_BYTES.violations;
  for (const { type, subject, description } of all) {
    const violation = {
      type,
      subject: cut(subject, MAX_BYTES.name),
      description: cut(description, MAX_BYTES.message),
    };
    left -= Buffer.byteLength(violation.subject) + Buffer.byteLength(violation.description) + 20;
    if (left < 0) {
      kept.push({ type, subject: "", description: `${all.length - kept.length} more` });
      break;
    }
    kept.push(violation);
  }
  return kept;
}

/** Cuts texts so that together they take no more than so many bytes. */
function budget(bytes: number): (text: string) => string {
  let left = bytes;
  return (text) => {
    const kept = cut(text, left);
    left -= Buffer.byteLength(kept);
    return kept;
  };
}

/** A well-formed text of at most so many bytes of UTF-8; an ellipsis says that something is missing. */
function cut(text: string, bytes: number): string {
  const wellFormed = text.toWellFormed();
  if (Buffer.byteLength(wellFormed) <= bytes) return wellFormed;
  if (bytes < 3) return "";
  const { written } = new TextEncoder().encodeInto(wellFormed, new Uint8Array(bytes - 3));
  return `${Buffer.from(wellFormed).toString("utf8", 0, written)}…`;
}

function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
