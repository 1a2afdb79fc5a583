import type { Metadata, Server, ServerReadableStream, ServerUnaryCall } from "@grpc/grpc-js";
import type { BoundMethod, Call } from "./call.ts";
import { decodeRequest, decodeRequests, type Link, sendAnswer, sendAnswers } from "./grpc-call.ts";

/** grpc-js's handler of a method, which takes bytes, and its word for the kind. */
interface Registration {
  readonly type: "unary" | "serverStream" | "clientStream" | "bidi";
  readonly func: (call: RequestCall & RequestStream) => void;
}

/** The two forms in which grpc-js hands over a call; which one, the type says. */
type RequestCall = ServerUnaryCall<Buffer, Buffer>;
type RequestStream = ServerReadableStream<Buffer, Buffer>;

/**
 * Puts a method on a grpc-js server. Messages pass through grpc-js as bytes, so that reading them can fail with a status of ours and an answer that is encoded
 * already is not encoded again.
 */
export function register(
  server: Server,
  path: string,
  method: BoundMethod,
  links: WeakMap<Metadata, Link>,
): void {
  const { func, type } = registrationOf(method, links);
  // grpc-js's type ties every kind of call to one handler type; which kind it is, `type` says.
  server.register(path, func as never, asIs, asIs, type);
}

function registrationOf(method: BoundMethod, links: WeakMap<Metadata, Link>): Registration {
  const { output, methodKind } = method.desc;
  const once = method.handler as (request: unknown, call: Call) => Promise<unknown>;
  const many = method.handler as (request: unknown, call: Call) => AsyncIterable<unknown>;
  const linkOf = ({ metadata }: { metadata: Metadata }): Link => {
    const link = links.get(metadata);
    if (link === undefined) throw new Error(`a call of ${method.name} came past the gate`);
    return link;
  };
  switch (methodKind) {
    case "unary":
      return {
        type: "unary",
        func(call) {
          const link = linkOf(call);
          void sendAnswer(link, output, async () => once(decodeRequest(link.call, call.request), link.call));
        },
      };
    case "server_streaming":
      return {
        type: "serverStream",
        func(call) {
          const link = linkOf(call);
          void sendAnswers(link, output, () => many(decodeRequest(link.call, call.request), link.call));
        },
      };
    case "client_streaming":
      return {
        type: "clientStream",
        func(stream) {
          const link = linkOf(stream);
          void sendAnswer(link, output, async () => once(decodeRequests(link.call, stream), link.call));
        },
      };
    case "bidi_streaming":
      return {
        type: "bidi",
        func(stream) {
          const link = linkOf(stream);
          void sendAnswers(link, output, () => many(decodeRequests(link.call, stream), link.call));
        },
      };
  }
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}
