import {
  type DescMethod,
  fromBinary,
  fromJson,
  type JsonObject,
  type Message,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.js";
import { type Driver, type Failure, readDetail, streamBuffer } from "./driver.ts";

/** Drives grpc-js with the messages of protobuf-es. `target` is an address as gRPC writes it. */
export function grpcJsDriver(target: string, admin: string): Driver {
  const client = new grpc.Client(target, grpc.credentials.createInsecure());
  const parts = (method: DescMethod) => {
    const serialize = (message: Message) => Buffer.from(toBinary(method.input, message));
    const deserialize = (bytes: Buffer): Message => fromBinary(method.output, bytes);
    return [`/${method.parent.typeName}/${method.name}`, serialize, deserialize] as const;
  };
  const metadata = (token: string) => {
    const found = new grpc.Metadata();
    if (token !== "") found.set("authorization", `Bearer ${token}`);
    return found;
  };
  return {
    call: (method, request, token = admin) =>
      new Promise((resolve) => {
        client.makeUnaryRequest(
          ...parts(method),
          fromJson(method.input, request),
          metadata(token),
          (error, answer) => {
            if (error !== null) resolve(readServiceError(error));
            else resolve({ code: "OK", message: toObject(method, answer as Message) });
          },
        );
      }),
    stream(method, request, token = admin) {
      const call = client.makeServerStreamRequest(
        ...parts(method),
        fromJson(method.input, request),
        metadata(token),
      );
      const stream = streamBuffer(() => call.cancel());
      call.on("data", (message: Message) => stream.push(toObject(method, message)));
      call.on("end", () => stream.end({ code: "OK" }));
      call.on("error", (error: grpc.ServiceError) => stream.end(readServiceError(error)));
      return stream;
    },
    close: async () => client.close(),
  };
}

/** Drives connect-node over one of its transports. */
export function connectDriver(transport: Transport, admin: string): Driver {
  const headers = (token: string) => (token === "" ? {} : { authorization: `Bearer ${token}` });
  return {
    async call(method, request, token = admin) {
      try {
        const { message } = await transport.unary(
          method as DescMethod & { methodKind: "unary" },
          undefined,
          undefined,
          headers(token),
          fromJson(method.input, request),
        );
        return { code: "OK", message: toObject(method, message) };
      } catch (error) {
        return readConnectNodeError(error);
      }
    },
    stream(method, request, token = admin) {
      const giveUp = new AbortController();
      const stream = streamBuffer(() => giveUp.abort());
      void (async () => {
        try {
          const { message } = await transport.stream(
            method as Parameters<Transport["stream"]>[0],
            giveUp.signal,
            undefined,
            headers(token),
            once(fromJson(method.input, request)),
          );
          for await (const each of message) stream.push(toObject(method, each));
          stream.end({ code: "OK" });
        } catch (error) {
          stream.end(readConnectNodeError(error));
        }
      })();
      return stream;
    },
    close: async () => {},
  };
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}

function toObject(method: DescMethod, message: Message): JsonObject {
  return toJson(method.output, message) as JsonObject;
}

function readServiceError({ code, details: reason, metadata }: grpc.ServiceError): Failure {
  const [bytes] = metadata.get("grpc-status-details-bin");
  const details = bytes === undefined ? [] : fromBinary(StatusSchema, bytes as Buffer).details;
  return {
    code: grpc.status[code],
    reason,
    details: details.map(({ typeUrl, value }) =>
      readDetail(typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value),
    ),
  };
}

function readConnectNodeError(error: unknown): Failure {
  const { code, rawMessage: reason, details } = ConnectError.from(error);
  return {
    code: (Code[code] as string)
      .replace(/(?<=[a-z])(?=[A-Z])/g, "_")
      .toUpperCase()
      .replace("CANCELED", "CANCELLED"),
    reason,
    details: details.map((detail) => {
      if ("desc" in detail) throw new Error("a detail that did not come over the wire");
      return readDetail(detail.type, detail.value);
    }),
  };
}
