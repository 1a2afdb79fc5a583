/** The part of a W3C `traceparent` header that is carried along (https://www.w3.org/TR/trace-context/). */
export interface TraceContext {
  /** 32 lower-case hexadecimal digits. */
  readonly traceId: string;
  /** Span of the caller, 16 lower-case hexadecimal digits. */
  readonly parentId: string;
  readonly sampled: boolean;
}

const pattern = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;

/** Reads a `traceparent` header; one that breaks the rules counts as none, as the specification asks. */
export function parseTraceparent(header: string | undefined): TraceContext | undefined {
  const match = header === undefined ? null : pattern.exec(header);
  if (match === null) return undefined;
  const [, traceId = "", parentId = "", flags = "0"] = match;
  return { traceId, parentId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
