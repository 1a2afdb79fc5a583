import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  Message,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { Role } from "../../gen/haplane/v1/options_pb.js";
import type { Encoded } from "./encoded.ts";
import type { TraceContext } from "./trace-context.ts";

/** Who calls, once the edge has made sure of it. */
export interface Caller {
  /** For logs and the `author` of what they change, e.g. `admin`; never a secret. */
  readonly name: string;
  /** What they may do; each role includes the lesser ones. */
  readonly role: Role;
}

/** Where a call comes from. */
export interface Peer {
  readonly kind: "tcp" | "unix";
  /** `address:port`, or `unix:` and the path of the socket. */
  readonly address: string;
  /** Whom limits count: the address without its port, of IPv6 its /64 network; `unix` for all sockets. */
  readonly host: string;
}

/** What a handler knows about the call it answers. */
export interface CallContext {
  /** Aborts at once when the client cancels or is gone, when the deadline passes, and when haplane stops: free what the call holds in its `abort` listener, a parked generator is not woken. */
  readonly signal: AbortSignal;
  /** When the client stops waiting, in milliseconds since the epoch. */
  readonly deadline: number | undefined;
  readonly peer: Peer;
  /** Open services (health, reflection) are called by `anonymous`, who has no role. */
  readonly caller: Caller;
  /** The client's `x-request-id` where it sent a sensible one, else ours; in the log and in every error. */
  readonly requestId: string;
  /** The W3C trace that the call belongs to, where the client sent one. */
  readonly trace: TraceContext | undefined;
  /** A request header by lower-case name. Credentials are not among them. */
  header(name: string): string | undefined;
}

/** What a handler may answer with: a message, what one is created from, or ready bytes. */
export type Answer<O extends DescMessage> = MessageInitShape<O> | Encoded<O>;

/** The handler of a method, by the kind of method. Errors are thrown: `DomainError`, or else it counts as a defect. */
export type Handler<M extends DescMethod> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, context: CallContext) => Promise<Answer<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageShape<I>, context: CallContext) => AsyncIterable<Answer<O>>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageShape<I>>, context: CallContext) => Promise<Answer<O>>
        : M extends DescMethodBiDiStreaming<infer I, infer O>
          ? (requests: AsyncIterable<MessageShape<I>>, context: CallContext) => AsyncIterable<Answer<O>>
          : never;

/** The handlers of a service, by the methods' local names (`listSources`). All are required. */
export type Handlers<S extends DescService> = {
  readonly [P in keyof S["method"]]: Handler<S["method"][P]>;
};

/** A service with its handlers, ready to be put on listeners. */
export interface Service {
  readonly desc: DescService;
  readonly handlers: Readonly<Record<string, AnyHandler>>;
  readonly names: ResourceNames;
}

/** Which resource a message is about that does not name it as one, by the message's type; undefined when it says too little. For the record of what was changed. */
export type ResourceNames = ReadonlyMap<string, (message: Message) => string | undefined>;

/** An entry of `ResourceNames`. */
export function naming<I extends DescMessage>(
  desc: I,
  nameOf: (message: MessageShape<I>) => string | undefined,
): readonly [string, (message: Message) => string | undefined] {
  return [desc.typeName, nameOf as (message: Message) => string | undefined];
}

/** A handler of any kind, after its types have been checked by `service`. */
export type AnyHandler = (
  request: unknown,
  context: CallContext,
) => Promise<unknown> | AsyncIterable<unknown>;

/** Joins a service and its handlers, checking their types. */
export function service<S extends DescService>(
  desc: S,
  handlers: Handlers<S>,
  names: Iterable<ReturnType<typeof naming>> = [],
): Service {
  return { desc, handlers: handlers as unknown as Service["handlers"], names: new Map(names) };
}
