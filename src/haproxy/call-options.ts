/** What every call to HAProxy takes. */
export interface CallOptions {
  /** Gives the call up; the promise rejects with `CANCELLED`. What was sent to HAProxy may still be done. */
  readonly signal?: AbortSignal;
  /** Milliseconds until the call fails with `HAPROXY_UNAVAILABLE`; each operation says its default. */
  readonly timeoutMs?: number;
}
