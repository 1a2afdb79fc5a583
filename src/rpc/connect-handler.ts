import type { IncomingMessage, ServerResponse } from "node:http";
import type { Message } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  createConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import { compressionGzip } from "@connectrpc/connect-node";
import type { Logger } from "pino";
import type { Gate } from "./auth.ts";
import type { BoundMethod, Call, Protocol } from "./call.ts";
import type { Calls } from "./calls.ts";
import { answerOnce, answerStream, connectError, type Exchange, requestsOf, settle } from "./connect-call.ts";
import type { Peer } from "./handler.ts";
import { oversized } from "./header-size.ts";
import { createSink, peerOf, toUniversalRequest } from "./http-message.ts";
import type { ListenAddress } from "./listener.ts";
import { type ClientCertificate, certificateOf } from "./tls.ts";

/** What the handler needs of its listener. */
export interface ConnectHandlerOptions {
  readonly methods: readonly BoundMethod[];
  readonly calls: Calls;
  readonly gate: Gate;
  readonly address: ListenAddress;
  readonly maxRequestBytes: number;
  readonly maxHeaderBytes: number;
  readonly log: Logger;
  /** Answers what is no RPC. */
  readonly fallback: (request: IncomingMessage, response: ServerResponse) => void;
}

/** The longest timeout that Node's timers can keep, in milliseconds. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

const peerKey = createContextKey<Peer | undefined>(undefined);
const certificateKey = createContextKey<() => ClientCertificate | undefined>(() => undefined);
const headersKey = createContextKey<readonly string[]>([]);
const exchangeKey = createContextKey<Exchange | undefined>(undefined);

/** Answers HTTP requests: RPCs in the Connect, gRPC-Web and gRPC protocols, and everything else by the fallback. */
export function connectHandler(
  options: ConnectHandlerOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  const { address, log, fallback } = options;
  const router = createConnectRouter({
    acceptCompression: [compressionGzip],
    readMaxBytes: options.maxRequestBytes,
    // A misspelt option such as `validate_only` must not be taken for none.
    jsonOptions: { ignoreUnknownFields: false },
    maxTimeoutMs: MAX_TIMEOUT_MS,
    requestGate: admission(options),
  });
  for (const method of options.methods) addMethod(router, method);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));

  return (request, response) => {
    const handler = handlers.get(request.url?.split("?", 1)[0] ?? "");
    if (handler === undefined) return fallback(request, response);
    const sink = createSink(response);
    const values = createContextValues()
      .set(peerKey, peerOf(request, address))
      .set(headersKey, request.rawHeaders)
      .set(certificateKey, () => certificateOf(request.socket));
    const universal = toUniversalRequest(request, response, values);
    if (universal === undefined) {
      response.writeHead(400);
      response.end();
      return;
    }
    handler(universal)
      .then((answer) => sink.write(answer))
      .catch((error: unknown) => {
        log.debug({ err: error, method: request.url }, "response ended early");
        response.destroy();
      });
  };
}

/** Begins a call when its headers are there, before anything of its body is read, and lets it pass once the gate has. */
function admission({
  methods,
  calls,
  gate,
  maxHeaderBytes,
}: ConnectHandlerOptions): (context: HandlerContext) => Promise<void> {
  const byDesc = new Map(methods.map((method) => [method.desc, method]));
  return async (context) => {
    const method = byDesc.get(context.method);
    const peer = context.values.get(peerKey);
    if (method === undefined || peer === undefined) throw new Error(`no method ${context.method.name}`);
    const header = (name: string) => context.requestHeader.get(name) ?? undefined;
    const timeoutMs = context.timeoutMs();
    const call = calls.open({
      method,
      protocol: context.protocolName as Protocol,
      peer,
      header,
      deadline: timeoutMs === undefined ? undefined : Date.now() + timeoutMs,
    });
    const exchange: Exchange = { call, stage: "reading" };
    context.values.set(exchangeKey, exchange);
    const finish = () => settle(exchange, context.signal.reason);
    if (context.signal.aborted) finish();
    else context.signal.addEventListener("abort", finish, { once: true });
    try {
      const refusal = call.aborted ?? oversized(context.values.get(headersKey), maxHeaderBytes);
      if (refusal !== undefined) throw refusal;
      call.caller = await gate(method.access, {
        peer,
        authorization: header("authorization"),
        certificate: context.values.get(certificateKey),
      });
    } catch (error) {
      throw connectError(call, error);
    }
  };
}

/** Puts a method on connect's router. */
function addMethod(router: ConnectRouter, method: BoundMethod): void {
  // A method chosen at run time has no implementation type that the compiler could check against.
  router.rpc(method.desc, implementationOf(method) as never);
}

function implementationOf({ desc, handler, name }: BoundMethod): unknown {
  const { output } = desc;
  const once = handler as (request: unknown, call: Call) => Promise<unknown>;
  const many = handler as (request: unknown, call: Call) => AsyncIterable<unknown>;
  const exchangeOf = (context: HandlerContext): Exchange => {
    const exchange = context.values.get(exchangeKey);
    if (exchange === undefined) throw new Error(`a call of ${name} came past the gate`);
    return exchange;
  };
  switch (desc.methodKind) {
    case "unary":
      return (request: Message, context: HandlerContext) => {
        const exchange = exchangeOf(context);
        exchange.call.request = request;
        return answerOnce(exchange, output, async () => once(request, exchange.call));
      };
    case "server_streaming":
      return (request: Message, context: HandlerContext) => {
        const exchange = exchangeOf(context);
        exchange.call.request = request;
        return answerStream(exchange, output, () => many(request, exchange.call));
      };
    case "client_streaming":
      return (requests: AsyncIterable<Message>, context: HandlerContext) => {
        const exchange = exchangeOf(context);
        const { call } = exchange;
        return answerOnce(exchange, output, async () => once(requestsOf(call, requests), call));
      };
    case "bidi_streaming":
      return (requests: AsyncIterable<Message>, context: HandlerContext) => {
        const exchange = exchangeOf(context);
        const { call } = exchange;
        return answerStream(exchange, output, () => many(requestsOf(call, requests), call));
      };
  }
}
