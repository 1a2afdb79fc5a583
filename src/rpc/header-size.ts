import { DomainError } from "../lib/errors.ts";

/** What HTTP/2 counts for a header beside its bytes (RFC 9113, section 6.5.2). */
const OVERHEAD = 32;

/**
 * What the HTTP layer is given as its own bound. What is beyond it is cut off there, without a word that we could send or a call that we could count; so it lies above ours, and what is between them
 * is refused as other limits are.
 */
export function hardHeaderBytes(maxHeaderBytes: number): number {
  return 2 * maxHeaderBytes;
}

/** The error for a request with too many bytes of headers; undefined when they fit. `headers` are names and values by turns. */
export function oversized(
  headers: Iterable<string | { readonly length: number }>,
  maxHeaderBytes: number,
): DomainError | undefined {
  let bytes = 0;
  for (const part of headers) bytes += part.length + OVERHEAD / 2;
  if (bytes <= maxHeaderBytes) return undefined;
  return new DomainError("LIMIT_EXCEEDED", `the request has ${bytes} bytes of headers`, {
    metadata: { limit: "max_header_bytes", maximum: String(maxHeaderBytes) },
  });
}
