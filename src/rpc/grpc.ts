import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { Metadata } from "@grpc/grpc-js";
import { createGate, serves } from "./auth.ts";
import { trackCalls } from "./calls.ts";
import { closeGracefully } from "./close-gracefully.ts";
import { trackConnections } from "./connections.ts";
import type { Edge } from "./edge.ts";
import { admission } from "./grpc-admission.ts";
import type { Link } from "./grpc-call.ts";
import { register } from "./grpc-methods.ts";
import { createFedServer } from "./grpc-server.ts";
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
import { acceptVerified, renewTls, tlsOptions } from "./tls.ts";

/** Serves gRPC by grpc-js on a TCP address or a unix socket. */
export async function createGrpcListener(edge: Edge, options: ListenerOptions): Promise<Listener> {
  const { policy } = options;
  const limits: ListenerLimits = { ...DEFAULT_LIMITS, ...options.limits };
  const listener = formatListenAddress(options.address);
  const methods = new Map(
    edge.methods.filter(({ access }) => serves(policy, access)).map((method) => [`/${method.name}`, method]),
  );
  const calls = trackCalls(observeCalls(edge, listener), edge.peerCalls);
  const links = new WeakMap<Metadata, Link>();
  const gate = createGate(options.address, policy, edge);

  const { server, http2, accept } = createFedServer(
    {
      "grpc.enable_channelz": 0,
      "grpc.max_receive_message_length": limits.maxRequestBytes,
      interceptors: [admission({ methods, calls, gate, links, address: options.address, limits })],
    },
    {
      settings: {
        maxConcurrentStreams: limits.maxConcurrentStreams,
        initialWindowSize: limits.windowBytes,
        maxHeaderListSize: hardHeaderBytes(limits.maxHeaderBytes),
      },
    },
  );
  for (const [path, method] of methods) register(server, path, method, links);

  const acceptor: Server =
    options.tls === undefined
      ? createServer(accept)
      : createTlsServer(tlsOptions(options.tls, { ...limits, alpn: ["h2"] }), acceptVerified(accept));
  // A handshake that fails concerns its peer alone, and Node leaves the connection to us.
  acceptor.on("tlsClientError", (_error, socket: Socket) => socket.destroy());
  const connections = trackConnections(acceptor, {
    listener,
    max: limits.maxConnections,
    metrics: edge.metrics,
  });
  const sessions = superviseSessions(http2, limits, (limit) => edge.metrics.connectionEnded(listener, limit));
  const bound = await listen(acceptor, options.address);
  return {
    address: bound.address,
    renew: (tls) => renewTls(acceptor, tls),
    async close(graceMs) {
      acceptor.close();
      await bound.release();
      sessions.goaway();
      await closeGracefully(calls, connections, graceMs);
      server.forceShutdown();
    },
  };
}
