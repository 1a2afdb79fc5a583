import {
  create,
  type DescMethod,
  fromBinary,
  type Message,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type StringValue, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { type CallOptions, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.js";
import { Health } from "../../../gen/health/v1/health_pb.js";
import type { ListenAddress } from "../../../src/rpc/listener.ts";
import { type ConnectProtocol, connectTransport, type HttpVersion } from "../../support/transports.ts";
import { Echo } from "./echo.ts";
import type { Places } from "./harness.ts";

/** What a call may carry. */
export interface ClientOptions {
  readonly token?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

/** An error as any client sees it. */
export class ClientError extends Error {
  readonly code: grpc.status;
  /** Type and wire form of each detail. */
  readonly details: readonly (readonly [type: string, bytes: Uint8Array])[];

  constructor(code: grpc.status, message: string, details: ClientError["details"]) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** The test service through one stack of client, protocol and listener. Errors are thrown as ClientError. */
export interface EchoClient {
  unary(method: "Say" | "Change", value: string, options?: ClientOptions): Promise<string>;
  watch(value: string, options?: ClientOptions): AsyncIterable<string>;
  upload(values: AsyncIterable<string>, options?: ClientOptions): Promise<string>;
  talk(values: AsyncIterable<string>, options?: ClientOptions): AsyncIterable<string>;
  /** `grpc.health.v1.Health`: the statuses as they come. */
  watchHealth(service: string): AsyncIterable<number>;
  close(): void;
}

/** A way to reach the edge. */
export interface Stack {
  readonly name: string;
  /** What the server calls the protocol. */
  readonly protocol: "grpc" | "grpc-web" | "connect";
  /** Which listener it talks to. */
  readonly place: keyof Places;
  /** HTTP/1.1 has no streams in both directions at once. */
  readonly fullDuplex: boolean;
  readonly open: (address: ListenAddress) => EchoClient;
}

const byGrpcJs = (place: keyof Places): Stack => ({
  name: `grpc-js, ${place}`,
  protocol: "grpc",
  place,
  fullDuplex: true,
  open: grpcJsClient,
});

const byConnect = (
  name: string,
  protocol: ConnectProtocol,
  place: keyof Places,
  httpVersion: HttpVersion,
): Stack => ({
  name: `${name}, HTTP/${httpVersion}, ${place}`,
  protocol: protocol === "connect-json" ? "connect" : protocol,
  place,
  fullDuplex: httpVersion === "2",
  open: (address) => connectClient(connectTransport(address, protocol, httpVersion)),
});

/** Every way that the contract holds for. */
export const stacks: readonly Stack[] = [
  byGrpcJs("grpc"),
  byGrpcJs("grpcSocket"),
  byGrpcJs("connect"),
  byGrpcJs("connectSocket"),
  byConnect("connect-node's gRPC", "grpc", "grpc", "2"),
  byConnect("connect-node's gRPC", "grpc", "connect", "2"),
  byConnect("gRPC-Web", "grpc-web", "connect", "1.1"),
  byConnect("gRPC-Web", "grpc-web", "connectSocket", "2"),
  byConnect("Connect", "connect", "connect", "1.1"),
  byConnect("Connect", "connect", "connect", "2"),
  byConnect("Connect JSON", "connect-json", "connectSocket", "1.1"),
  byConnect("Connect JSON", "connect-json", "connectSocket", "2"),
];

function connectClient(transport: Transport): EchoClient {
  const echo = createClient(Echo, transport) as unknown as {
    say(request: StringValue, options: CallOptions): Promise<StringValue>;
    change(request: StringValue, options: CallOptions): Promise<StringValue>;
    watch(request: StringValue, options: CallOptions): AsyncIterable<StringValue>;
    upload(requests: AsyncIterable<StringValue>, options: CallOptions): Promise<StringValue>;
    talk(requests: AsyncIterable<StringValue>, options: CallOptions): AsyncIterable<StringValue>;
  };
  const health = createClient(Health, transport);
  const stop = new AbortController();
  const callOptions = ({ token, headers, signal, timeoutMs }: ClientOptions = {}): CallOptions => ({
    headers: { ...headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    signal: AbortSignal.any([stop.signal, ...(signal === undefined ? [] : [signal])]),
    ...(timeoutMs !== undefined && { timeoutMs }),
  });
  return {
    async unary(method, value, options) {
      const call = method === "Say" ? echo.say : echo.change;
      return (await call(text(value), callOptions(options)).catch(rethrow)).value;
    },
    watch: (value, options) => values(echo.watch(text(value), callOptions(options))),
    async upload(requests, options) {
      return (await echo.upload(texts(requests), callOptions(options)).catch(rethrow)).value;
    },
    talk: (requests, options) => values(echo.talk(texts(requests), callOptions(options))),
    async *watchHealth(service) {
      for await (const { status } of health.watch({ service }, callOptions())) yield status;
    },
    close: () => stop.abort(),
  };
}

function grpcJsClient(address: ListenAddress): EchoClient {
  const target = address.kind === "unix" ? `unix:${address.path}` : `${address.host}:${address.port}`;
  const client = new grpc.Client(target, grpc.credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
  const parts = (desc: DescMethod | undefined) => {
    if (desc === undefined) throw new Error("no such method");
    const serialize = (message: Message) => Buffer.from(toBinary(desc.input, message));
    const deserialize = (bytes: Buffer) => fromBinary(desc.output, bytes) as StringValue;
    return [`/${desc.parent.typeName}/${desc.name}`, serialize, deserialize] as const;
  };
  const carry = ({ token, headers, timeoutMs }: ClientOptions = {}) => {
    const metadata = new grpc.Metadata();
    for (const [name, value] of Object.entries(headers ?? {})) metadata.set(name, value);
    if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
    return [metadata, timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs }] as const;
  };
  const cancelWith = (call: { cancel(): void }, signal: AbortSignal | undefined) =>
    signal?.addEventListener("abort", () => call.cancel(), { once: true });
  return {
    unary: (method, value, options) =>
      new Promise((resolve, reject) => {
        const done = (error: grpc.ServiceError | null, found?: StringValue) =>
          error === null ? resolve(found?.value ?? "") : reject(toClientError(error));
        const desc = Echo.methods.find(({ name }) => name === method);
        cancelWith(
          client.makeUnaryRequest(...parts(desc), text(value), ...carry(options), done),
          options?.signal,
        );
      }),
    watch(value, options) {
      const call = client.makeServerStreamRequest(
        ...parts(Echo.method.watch),
        text(value),
        ...carry(options),
      );
      cancelWith(call, options?.signal);
      return values(call);
    },
    upload: (requests, options) =>
      new Promise((resolve, reject) => {
        const done = (error: grpc.ServiceError | null, found?: StringValue) =>
          error === null ? resolve(found?.value ?? "") : reject(toClientError(error));
        const call = client.makeClientStreamRequest(...parts(Echo.method.upload), ...carry(options), done);
        cancelWith(call, options?.signal);
        void send(call, requests);
      }),
    talk(requests, options) {
      const call = client.makeBidiStreamRequest(...parts(Echo.method.talk), ...carry(options));
      cancelWith(call, options?.signal);
      void send(call, requests);
      return values(call);
    },
    async *watchHealth(service) {
      const [path, serialize] = parts(Health.method.watch);
      const deserialize = (bytes: Buffer) => fromBinary(Health.method.watch.output, bytes);
      const request = create(Health.method.watch.input, { service });
      for await (const { status } of client.makeServerStreamRequest(path, serialize, deserialize, request))
        yield status;
    },
    close: () => client.close(),
  };
}

async function send(
  call: grpc.ClientWritableStream<StringValue>,
  requests: AsyncIterable<string>,
): Promise<void> {
  for await (const value of requests) {
    if (!call.write(text(value))) await new Promise((resolve) => call.once("drain", resolve));
  }
  call.end();
}

async function* values(messages: AsyncIterable<StringValue>): AsyncGenerator<string> {
  try {
    for await (const { value } of messages) yield value;
  } catch (error) {
    throw toClientError(error);
  }
}

async function* texts(requests: AsyncIterable<string>): AsyncGenerator<StringValue> {
  for await (const value of requests) yield text(value);
}

function text(value: string): MessageShape<typeof StringValueSchema> {
  return create(StringValueSchema, { value });
}

function rethrow(error: unknown): never {
  throw toClientError(error);
}

function toClientError(error: unknown): unknown {
  if (error instanceof ConnectError) {
    const details = error.details.map((detail) => {
      if ("desc" in detail) throw new Error("a detail that did not come over the wire");
      return [detail.type, detail.value] as const;
    });
    return new ClientError(error.code as number, error.rawMessage, details);
  }
  if (error instanceof Error && "metadata" in error) {
    const { code, details: message, metadata } = error as grpc.ServiceError;
    const [bytes] = metadata.get("grpc-status-details-bin");
    const details = bytes === undefined ? [] : fromBinary(StatusSchema, bytes as Buffer).details;
    return new ClientError(
      code,
      message,
      details.map(({ typeUrl, value }) => [typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value]),
    );
  }
  return error;
}
