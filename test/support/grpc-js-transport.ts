import process from "node:process";
import { create, type DescMethod, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { ConnectError, type Transport } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import type { ListenAddress } from "../../src/rpc/listener.ts";

/** A transport over grpc-js, so that one typed client serves every stack. `close` ends its connection. */
export function grpcJsTransport(address: ListenAddress): Transport & { close(): void } {
  const target = address.kind === "unix" ? `unix:${address.path}` : `${address.host}:${address.port}`;
  const client = new grpc.Client(target, grpc.credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_receive_message_length": 64 * 1024 * 1024,
  });
  const nothing = { header: new Headers(), trailer: new Headers() };
  return {
    unary: (method, signal, timeoutMs, header, input) =>
      new Promise((resolve, reject) => {
        const call = client.makeUnaryRequest(
          ...codec(method),
          create(method.input, input as never) as Message,
          metadataOf(header),
          optionsOf(timeoutMs),
          (error, message) =>
            error === null
              ? resolve({ stream: false, service: method.parent, method, ...nothing, message } as never)
              : reject(toConnectError(error)),
        );
        cancelWith(signal, call);
      }),
    async stream(method, signal, timeoutMs, header, input) {
      const call = client.makeBidiStreamRequest(...codec(method), metadataOf(header), optionsOf(timeoutMs));
      cancelWith(signal, call);
      const sending = (async () => {
        for await (const one of input)
          if (!call.write(create(method.input, one as never) as Message))
            await new Promise((resolve) => call.once("drain", resolve));
        call.end();
      })();
      sending.catch(() => call.cancel());
      return {
        stream: true,
        service: method.parent,
        method,
        ...nothing,
        message: messagesOf(call),
      } as never;
    },
    close: () => client.close(),
  };
}

function cancelWith(signal: AbortSignal | undefined, call: { cancel(): void }): void {
  // grpc-js resets nothing when a call is cancelled in the turn in which it is made: the server would never learn of it.
  const cancel = () => void process.nextTick(() => call.cancel());
  if (signal?.aborted) cancel();
  else signal?.addEventListener("abort", cancel, { once: true });
}

function codec(method: DescMethod) {
  return [
    `/${method.parent.typeName}/${method.name}`,
    (message: Message) => Buffer.from(toBinary(method.input, message)),
    (bytes: Buffer): Message => fromBinary(method.output, bytes),
  ] as const;
}

async function* messagesOf(call: AsyncIterable<Message>): AsyncGenerator<Message> {
  try {
    yield* call;
  } catch (error) {
    throw toConnectError(error as grpc.ServiceError);
  }
}

function metadataOf(header: ConstructorParameters<typeof Headers>[0]): grpc.Metadata {
  const metadata = new grpc.Metadata();
  new Headers(header).forEach((value, name) => {
    metadata.set(name, value);
  });
  return metadata;
}

function optionsOf(timeoutMs: number | undefined): grpc.CallOptions {
  return timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
}

function toConnectError({ code, details, metadata }: grpc.ServiceError): ConnectError {
  const error = new ConnectError(details, code as number);
  const [bytes] = metadata.get("grpc-status-details-bin");
  if (bytes !== undefined)
    error.details = fromBinary(StatusSchema, bytes as Buffer).details.map(({ typeUrl, value }) => ({
      type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
      value,
    }));
  return error;
}
