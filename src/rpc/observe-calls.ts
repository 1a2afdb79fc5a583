import type { JsonValue } from "@bufbuild/protobuf";
import { status as Code } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { DomainError } from "../lib/errors.ts";
import { type AuditRecord, auditOf } from "./audit.ts";
import type { Call, CallEnd, CallObserver } from "./call.ts";
import type { RpcMetrics } from "./metrics.ts";
import { redactedJson } from "./redact.ts";

/**
 * Counts calls and writes one line for each that has ended: `error` for a defect of ours, `info` for a failure, `debug` for one that went well. What changes something has a record of its own. At
 * level `trace` lines have the request, without what is marked as secret.
 */
export function observeCalls(
  {
    log,
    metrics,
    audit,
  }: { readonly log: Logger; readonly metrics: RpcMetrics; readonly audit: (record: AuditRecord) => void },
  listener: string,
): CallObserver {
  return {
    began: (call) => metrics.began(call),
    ended(call, end) {
      metrics.ended(call, end);
      const record = auditOf(call, end, listener);
      if (record !== undefined) audit(record);
      const level = levelOf(end);
      if (!log.isLevelEnabled(level)) return;
      const request = log.isLevelEnabled("trace") ? requestOf(call) : undefined;
      log[level]({ ...lineOf(call, end, listener), ...(request !== undefined && { request }) }, "call");
    },
  };
}

function levelOf({ code, error }: CallEnd): "error" | "info" | "debug" {
  if (code === Code.INTERNAL && !(error instanceof DomainError)) return "error";
  return code === Code.OK || code === Code.CANCELLED ? "debug" : "info";
}

function lineOf(call: Call, { code, error, durationMs }: CallEnd, listener: string): object {
  return {
    requestId: call.requestId,
    method: call.method.name,
    code: Code[code],
    ms: Math.round(durationMs * 1_000) / 1_000,
    peer: call.peer.address,
    caller: call.caller.name,
    protocol: call.protocol,
    listener,
    ...(call.trace === undefined ? {} : { traceId: call.trace.traceId }),
    ...describeFailure(code, error),
  };
}

/** What lies with the caller alone: where in our code it was found out tells nobody anything, and anyone could fill the log with it. */
const CALLERS_FAULT: ReadonlySet<Code> = new Set([
  Code.CANCELLED,
  Code.INVALID_ARGUMENT,
  Code.NOT_FOUND,
  Code.ALREADY_EXISTS,
  Code.OUT_OF_RANGE,
  Code.PERMISSION_DENIED,
  Code.UNAUTHENTICATED,
]);

/** The request without its secrets. */
function requestOf({ method, request }: Call): JsonValue | undefined {
  if (request === undefined) return undefined;
  try {
    return redactedJson(method.desc.input, request);
  } catch {
    // A duration or timestamp out of range has no JSON form.
    return "(cannot be written as JSON)";
  }
}

/** Expected failures say what they are; only for what is unexpected does the log need to know where it came from. */
function describeFailure(code: Code, error: unknown): object {
  if (error === undefined) return {};
  if (!(error instanceof DomainError)) return { err: error };
  const { reason, message, cause, violations, alerts } = error;
  return {
    reason,
    error: message,
    ...(violations.length === 0 ? {} : { violations }),
    ...(alerts.length === 0 ? {} : { alerts }),
    ...(cause === undefined || CALLERS_FAULT.has(code) ? {} : { err: cause }),
  };
}
