import type { DescMethod, Message } from "@bufbuild/protobuf";
import { status as Code } from "@grpc/grpc-js";
import { DomainError } from "../lib/errors.ts";
import { type Access, ANONYMOUS } from "./auth.ts";
import type { AnyHandler, CallContext, Caller, Peer, ResourceNames } from "./handler.ts";
import { type CallStatus, statusOf } from "./status.ts";
import { parseTraceparent, type TraceContext } from "./trace-context.ts";

/** A method with everything that serving it takes, found by its path. */
export interface BoundMethod {
  readonly desc: DescMethod;
  /** `package.Service/Method`, as in logs and metrics. */
  readonly name: string;
  readonly access: Access;
  readonly handler: AnyHandler;
  readonly names: ResourceNames;
}

/** Protocols a call can come by. */
export type Protocol = "grpc" | "grpc-web" | "connect";

/** How a call begins. */
export interface CallOrigin {
  readonly method: BoundMethod;
  readonly protocol: Protocol;
  readonly peer: Peer;
  /** A request header by lower-case name, credentials included. */
  readonly header: (name: string) => string | undefined;
  /** Milliseconds since the epoch. */
  readonly deadline: number | undefined;
}

/** How a call ended, for those who keep count. */
export interface CallEnd {
  readonly code: Code;
  /** What was thrown, when it failed. */
  readonly error?: unknown;
  readonly durationMs: number;
}

/** Told when calls begin and end. */
export interface CallObserver {
  began(call: Call): void;
  ended(call: Call, end: CallEnd): void;
}

/**
 * One call from its headers to its end, the same for all protocols. It is *open* until `end`; while it is open, `abort` may come once: then the handler's signal
 * aborts, and the adaptor, told by `whenAborted`, ends the call with that error without waiting for the handler.
 */
export class Call implements CallContext {
  readonly method: BoundMethod;
  readonly protocol: Protocol;
  readonly peer: Peer;
  readonly deadline: number | undefined;
  readonly requestId: string;
  /** The request, where there is but one and it has been read. For log and audit. */
  request: Message | undefined;
  /** The first message of a stream of requests. For the record of what was changed. */
  first: Message | undefined;
  /** What the handler answered, where there is but one answer. */
  answer: unknown;
  /** Set once the gate has let the call pass. */
  caller: Caller = ANONYMOUS;
  readonly #header: (name: string) => string | undefined;
  readonly #observer: CallObserver;
  readonly #startedAt = performance.now();
  #controller: AbortController | undefined;
  #onAbort: ((reason: DomainError) => void) | undefined;
  #reason: DomainError | undefined;
  #ended = false;

  constructor(origin: CallOrigin, observer: CallObserver) {
    this.method = origin.method;
    this.protocol = origin.protocol;
    this.peer = origin.peer;
    this.deadline = origin.deadline;
    this.#header = origin.header;
    this.#observer = observer;
    this.requestId = sensibleRequestId(origin.header("x-request-id")) ?? nextRequestId();
    observer.began(this);
  }

  /** Made when first asked for: most unary handlers never do. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  get trace(): TraceContext | undefined {
    return parseTraceparent(this.#header("traceparent"));
  }

  /** Why the call was told to end; undefined while it may go on. */
  get aborted(): DomainError | undefined {
    return this.#reason;
  }

  /** The header that `trace` was read from, where it keeps the rules. */
  get traceparent(): string | undefined {
    return this.trace === undefined ? undefined : this.#header("traceparent");
  }

  /** Whether nothing may be sent any more. */
  get ended(): boolean {
    return this.#ended;
  }

  header(name: string): string | undefined {
    return name === "authorization" || name === "cookie" ? undefined : this.#header(name);
  }

  /** The client does not want it any more, or is gone, or its deadline has passed. */
  cancel(): void {
    if (this.#ended || this.#reason !== undefined) return;
    const late = this.deadline !== undefined && Date.now() >= this.deadline;
    this.abort(
      late
        ? new DomainError("TIMED_OUT", "the deadline of the call has passed")
        : new DomainError("CANCELLED", "the client has given the call up"),
    );
  }

  /** Tells the handler to stop and the adaptor to end the call. Without effect after the end, and the second time. */
  abort(reason: DomainError): void {
    if (this.#ended || this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.#onAbort?.(reason);
  }

  /** Has the adaptor told of an abort, also of one that has come already. There is one listener; a later one takes its place. */
  whenAborted(listener: (reason: DomainError) => void): void {
    this.#onAbort = listener;
    if (this.#reason !== undefined) listener(this.#reason);
  }

  /** The status for what was thrown. An abort wins over what the handler threw because of it. */
  status(error: unknown): CallStatus {
    return statusOf(this.#reason ?? error, this.requestId, this.traceparent);
  }

  /**
   * Ends the call; only the first time counts. A handler that still works on one that failed is told to stop. `say` tells the client, who does not have to wait until those who keep count have been told.
   */
  end(code: Code, error?: unknown, say = () => {}): void {
    if (this.#ended) return;
    this.#onAbort = undefined;
    const aborted = this.#reason;
    if (code !== Code.OK) this.cancel();
    this.#ended = true;
    const durationMs = performance.now() - this.#startedAt;
    say();
    this.#observer.ended(this, { code, error: aborted ?? error, durationMs });
  }
}

const requestIdPrefix = crypto.randomUUID().slice(0, 13);
let requestCount = 0;

function nextRequestId(): string {
  requestCount += 1;
  return `${requestIdPrefix}-${requestCount.toString(36)}`;
}

function sensibleRequestId(header: string | undefined): string | undefined {
  return header !== undefined && /^[\w.:/+=-]{1,128}$/.test(header) ? header : undefined;
}
