import { isIPv4 } from "node:net";
import { formatAddress } from "../lib/address.ts";
import type { TlsMaterial } from "./tls.ts";

/** Where a listener listens. */
export type ListenAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** A listener that accepts calls. */
export interface Listener {
  /** Where it listens, with the port that port 0 became. */
  readonly address: ListenAddress;
  /** Has new connections served with other certificates; without effect on a listener without TLS. */
  renew(tls: TlsMaterial): void;
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
  /**
   * Who may use reflection without credentials: anyone (`on`), peers on loopback and unix sockets (`local`; elsewhere it needs them), nobody
   * (`with-credentials`). `off`: it is not served. Default `local`.
   */
  readonly reflection?: "on" | "local" | "with-credentials" | "off";
  /** Whether `grpc.health.v1` and `/healthz` are served, without credentials. Default `on`. */
  readonly health?: "on" | "off";
}

/** What a listener lets a peer use. Each has a default. */
export interface ListenerLimits {
  /** Connections at once; further ones are closed at once. Default 10,000. */
  readonly maxConnections: number;
  /** Calls at once on one HTTP/2 connection. Default 1,000. */
  readonly maxConcurrentStreams: number;
  /** Bytes of a request's headers. Default 16 KiB. */
  readonly maxHeaderBytes: number;
  /** Bytes of one request message, after decompression. Default 16 MiB. */
  readonly maxRequestBytes: number;
  /** Bytes that a client may send in one call before we have read them; four times that on a connection. Default 1 MiB. */
  readonly windowBytes: number;
  /** How long a new connection may take to show what it speaks, and a request to send its headers. Default 10,000 ms. */
  readonly handshakeTimeoutMs: number;
  /** Time between the pings that find out whether an HTTP/2 peer is still there. Default 30,000 ms. */
  readonly keepaliveIntervalMs: number;
  /** How long a peer may take to answer one. Default 20,000 ms. */
  readonly keepaliveTimeoutMs: number;
}

/** The limits that hold unless a listener is told otherwise. */
export const DEFAULT_LIMITS: ListenerLimits = {
  maxConnections: 10_000,
  maxConcurrentStreams: 1_000,
  maxHeaderBytes: 16 * 1024,
  maxRequestBytes: 16 * 1024 * 1024,
  windowBytes: 1024 * 1024,
  handshakeTimeoutMs: 10_000,
  keepaliveIntervalMs: 30_000,
  keepaliveTimeoutMs: 20_000,
};

/** What every listener is given. */
export interface ListenerOptions {
  readonly address: ListenAddress;
  readonly policy: ListenerPolicy;
  /** Undefined: plain text. */
  readonly tls?: TlsMaterial | undefined;
  readonly limits?: Partial<ListenerLimits>;
}

/** Whether only this machine can reach an address. A host name counts as not: what it resolves to may change. */
export function isLoopback(address: ListenAddress): boolean {
  if (address.kind === "unix") return true;
  return address.host === "::1" || (isIPv4(address.host) && address.host.startsWith("127."));
}

/** An address as in logs and metrics: `127.0.0.1:5555`, `[::1]:5555`, `unix:/run/haplane/grpc.sock`. */
export function formatListenAddress(address: ListenAddress): string {
  return address.kind === "unix" ? `unix:${address.path}` : formatAddress(address);
}
