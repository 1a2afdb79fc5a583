import {
  createServer as createHttp1Server,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";
import { createGate, serves } from "./auth.ts";
import { trackCalls } from "./calls.ts";
import { closeGracefully } from "./close-gracefully.ts";
import { connectHandler } from "./connect-handler.ts";
import { trackConnections } from "./connections.ts";
import { allowOrigins } from "./cors.ts";
import type { Edge } from "./edge.ts";
import { hardHeaderBytes } from "./header-size.ts";
import { superviseSessions } from "./http2-sessions.ts";
import { listen } from "./listen.ts";
import {
  DEFAULT_LIMITS,
  formatListenAddress,
  type Listener,
  type ListenerLimits,
  type ListenerOptions,
} from "./listener.ts";
import { observeCalls } from "./observe-calls.ts";
import { type Route, routeHandler } from "./routes.ts";
import { sniffHttp } from "./sniff-http.ts";
import { acceptVerified, renewTls, tlsOptions } from "./tls.ts";

/** What a Connect listener is given. */
export interface ConnectListenerOptions extends ListenerOptions {
  /** Plain HTTP routes beside the RPCs. */
  readonly routes: readonly Route[];
  /** Origins of browsers whose pages may call, at this moment. Default: none. */
  readonly origins?: () => readonly string[];
}

/**
 * Serves Connect, gRPC-Web, gRPC and plain routes by connect-node, on a TCP address or a unix socket. HTTP/1.1 and HTTP/2 share it: the first bytes of a
 * connection tell them apart.
 */
export async function createConnectListener(edge: Edge, options: ConnectListenerOptions): Promise<Listener> {
  const { address, policy } = options;
  const limits: ListenerLimits = { ...DEFAULT_LIMITS, ...options.limits };
  const listener = formatListenAddress(address);
  const calls = trackCalls(observeCalls(edge, listener), edge.peerCalls);
  const gate = createGate(address, policy, edge);
  const handle = allowOrigins(
    options.origins ?? (() => []),
    connectHandler({
      methods: edge.methods.filter(({ access }) => serves(policy, access)),
      calls,
      gate,
      address,
      maxRequestBytes: limits.maxRequestBytes,
      maxHeaderBytes: limits.maxHeaderBytes,
      log: edge.log,
      fallback: routeHandler({
        routes: options.routes.filter(({ access }) => serves(policy, access)),
        gate,
        address,
        log: edge.log,
      }),
    }),
  );

  let closing = false;
  const http1Options = {
    headersTimeout: limits.handshakeTimeoutMs,
    maxHeaderSize: hardHeaderBytes(limits.maxHeaderBytes),
    keepAliveTimeout: 60_000,
    connectionsCheckingInterval: 1_000,
  };
  const http1: HttpServer | HttpsServer =
    options.tls === undefined
      ? createHttp1Server(http1Options)
      : createHttpsServer({
          ...http1Options,
          ...tlsOptions(options.tls, { ...limits, alpn: ["h2", "http/1.1"] }),
        });
  http1.on("request", (request: IncomingMessage, response: ServerResponse) => {
    response.once("close", () => {
      if (closing) http1.closeIdleConnections();
    });
    handle(request, response);
  });
  const http2 = createHttp2Server(
    {
      settings: {
        maxConcurrentStreams: limits.maxConcurrentStreams,
        initialWindowSize: limits.windowBytes,
        maxHeaderListSize: hardHeaderBytes(limits.maxHeaderBytes),
      },
    },
    // Node's HTTP/2 requests and responses behave like those of HTTP/1.1 in all that is used here.
    (request, response) =>
      handle(request as unknown as IncomingMessage, response as unknown as ServerResponse),
  );
  const sessions = superviseSessions(http2, limits, (limit) => edge.metrics.connectionEnded(listener, limit));
  const connected = options.tls === undefined ? "connection" : "secureConnection";
  const [serveHttp1] = http1.listeners(connected) as ((socket: Socket) => void)[];
  if (serveHttp1 === undefined) throw new Error("this version of Node serves HTTP/1.1 in another way");
  http1.removeAllListeners(connected);
  const serve = (socket: Socket) => {
    sniffHttp(socket, limits.handshakeTimeoutMs, {
      http1: (it) => serveHttp1.call(http1, it),
      http2: (it) => http2.emit("connection", it),
    });
  };
  if (options.tls === undefined) http1.on(connected, serve);
  else http1.on(connected, acceptVerified(serve));
  const connections = trackConnections(http1, {
    listener,
    max: limits.maxConnections,
    metrics: edge.metrics,
  });
  const bound = await listen(http1, address);
  return {
    address: bound.address,
    renew: (tls) => renewTls(http1, tls),
    async close(graceMs) {
      closing = true;
      http1.close();
      await bound.release();
      sessions.goaway();
      await closeGracefully(calls, connections, graceMs);
      http2.close();
    },
  };
}
