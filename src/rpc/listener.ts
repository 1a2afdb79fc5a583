/** Where a listener listens. */
export type ListenAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** A listener that accepts calls. */
export interface Listener {
  /** Where it listens, with the port that port 0 became. */
  readonly address: ListenAddress;
  /**
   * Stops gracefully: accepts nothing more, says GOAWAY, ends open streams with UNAVAILABLE and gives calls under way
   * `graceMs` to finish; what is left then is cut off. Resolves when every connection is closed and the socket file is gone.
   */
  close(graceMs: number): Promise<void>;
}

/** Who may call what on a listener. */
export interface ListenerPolicy {
  /**
   * `token`: every RPC needs credentials. `peer` (unix sockets only): whoever the file's permissions let in is admin;
   * credentials that are sent all the same must be right.
   */
  readonly authentication: "token" | "peer";
  /** Whether reflection answers without credentials (`on`), with them, or not at all. Default: `on` on loopback and unix sockets, `with-credentials` elsewhere. */
  readonly reflection?: "on" | "with-credentials" | "off";
  /** Whether `grpc.health.v1` and `/healthz` answer, without credentials. Default `on`. */
  readonly health?: "on" | "off";
}

/** What a listener lets a peer use. Each has a default. */
export interface ListenerLimits {
  /** Connections at once; further ones are closed at once. Default 10,000. */
  readonly maxConnections?: number;
  /** Calls at once on one connection. Default 1,000. */
  readonly maxConcurrentStreams?: number;
  /** Bytes of one request message, after decompression. Default 16 MiB. */
  readonly maxRequestBytes?: number;
  /** Bytes that a client may have under way in one call before we have read them, and four times that on its connection. Default 1 MiB. */
  readonly windowBytes?: number;
  /** How long a new connection may take until it has sent enough to be understood, and a request until its headers are there. Default 10,000 ms. */
  readonly handshakeTimeoutMs?: number;
  /** Time between the pings that find out whether a peer is still there. Default 30,000 ms. */
  readonly keepaliveIntervalMs?: number;
  /** How long a peer may take to answer one. Default 20,000 ms. */
  readonly keepaliveTimeoutMs?: number;
}

/** What every listener is given. */
export interface ListenerOptions {
  readonly address: ListenAddress;
  readonly policy: ListenerPolicy;
  readonly limits?: ListenerLimits;
}
