/**
 * What went wrong, as a word that programs can compare. It is sent to clients as `google.rpc.ErrorInfo.reason`,
 * so a word once published keeps its meaning.
 */
export type ErrorReason =
  | "FIELD_INVALID"
  | "RESOURCE_NOT_FOUND"
  | "RESOURCE_EXISTS"
  | "ETAG_MISMATCH"
  | "CONFIGURATION_REFUSED"
  | "HAPROXY_UNAVAILABLE"
  | "HAPROXY_REFUSED"
  | "CURSOR_EXPIRED"
  | "CURSOR_FOREIGN"
  | "LIMIT_EXCEEDED"
  | "STATE_LOCKED"
  | "NOT_SUPPORTED"
  | "CONSUL_UNAVAILABLE"
  | "DNS_UNAVAILABLE"
  | "UNAUTHENTICATED"
  | "PERMISSION_DENIED"
  | "TIMED_OUT"
  | "CANCELLED"
  | "FILE_HELD"
  | "STORE_UNAVAILABLE"
  | "SHUTTING_DOWN"
  | "RESOURCE_IN_USE"
  | "REFERENCE_MISSING"
  | "RESOURCE_AMBIGUOUS"
  | "CONFLICT"
  | "TRANSACTION_EXPIRED"
  | "SOURCE_DISABLED";

/** A request field that breaks a rule. */
export interface FieldViolation {
  /** Path of the field from the request, such as `server.address.port`. */
  readonly field: string;
  /** The rule that was broken, and what was found. */
  readonly description: string;
}

/** The thing an error is about. */
export interface ErrorResource {
  /** Kind of the resource, such as `server` or `source`. */
  readonly type: string;
  /** Resource name, such as `backends/app/servers/s1`. */
  readonly name: string;
}

/** One alert of HAProxy about a configuration, traced back to where it comes from. */
export interface ConfigurationAlert {
  /** The file as the user knows it, or empty when HAProxy names none. */
  readonly file: string;
  /** Line in that file, counted from 1; 0 when HAProxy names none. */
  readonly line: number;
  /** HAProxy's own words. */
  readonly message: string;
  /** Name of the resource that the line belongs to, where it is known. */
  readonly resource?: string;
}

/** The facts that an error may carry beside its reason and message. */
export interface ErrorFacts {
  readonly violations?: readonly FieldViolation[];
  readonly resource?: ErrorResource;
  readonly alerts?: readonly ConfigurationAlert[];
  /** When a retry may succeed, in milliseconds from now. */
  readonly retryAfterMs?: number;
  /** Further facts, such as `expected` and `found`; keys in lowerCamelCase. Never a secret. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The error underneath; it is logged and never sent to a client. */
  readonly cause?: unknown;
}

/**
 * The one kind of error that crosses module borders: facts first, a sentence second. `src/rpc` turns it
 * into a `google.rpc.Status`; anything else that is thrown counts as a defect of ours.
 */
export class DomainError extends Error {
  override readonly name = "DomainError";
  readonly reason: ErrorReason;
  readonly violations: readonly FieldViolation[];
  readonly resource: ErrorResource | undefined;
  readonly alerts: readonly ConfigurationAlert[];
  readonly retryAfterMs: number | undefined;
  readonly metadata: Readonly<Record<string, string>>;

  /** `message` is a plain sentence for a person, without secrets. */
  constructor(reason: ErrorReason, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.reason = reason;
    this.violations = facts.violations ?? [];
    this.resource = facts.resource;
    this.alerts = facts.alerts ?? [];
    this.retryAfterMs = facts.retryAfterMs;
    this.metadata = facts.metadata ?? {};
  }

  /** The same error told otherwise: what is given takes the place of what it has. */
  with({ message = this.message, ...facts }: ErrorFacts & { readonly message?: string }): DomainError {
    const { reason, violations, resource, alerts, retryAfterMs, metadata, cause } = this;
    return new DomainError(reason, message, {
      ...{ violations, alerts, metadata, cause },
      ...(resource !== undefined && { resource }),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
      ...facts,
    });
  }
}
