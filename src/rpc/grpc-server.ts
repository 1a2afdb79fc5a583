import type { Http2Server, ServerOptions as Http2ServerOptions } from "node:http2";
import type { Socket } from "node:net";
import { Server, ServerCredentials, type ServerOptions } from "@grpc/grpc-js";

/** A grpc-js server that is fed with connections instead of listening itself. */
export interface FedServer {
  readonly server: Server;
  /** The HTTP/2 server inside. */
  readonly http2: Http2Server;
  /** Serves a connection. */
  accept(socket: Socket): void;
}

/** What grpc-js 1.14 keeps to itself: how it creates its HTTP/2 servers, and the servers it has created. */
interface Internals {
  readonly commonServerOptions: Http2ServerOptions;
  readonly http2Servers: ReadonlyMap<Http2Server, unknown>;
}

/**
 * Creates a grpc-js server with HTTP/2 options. grpc-js has no option for a server's flow-control windows and no way to its sessions (for GOAWAY and pings of our
 * own), so this reaches inside; this file is the only one that does, and a test fails when a new version looks different.
 */
export function createFedServer(options: ServerOptions, http2Options: Http2ServerOptions): FedServer {
  const server = new Server(options);
  const internals = server as unknown as Internals;
  Object.assign(internals.commonServerOptions, http2Options);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const [http2] = internals.http2Servers.keys();
  if (http2 === undefined) throw new Error("this version of grpc-js hides its HTTP/2 server");
  return { server, http2, accept: (socket) => injector.injectConnection(socket) };
}
