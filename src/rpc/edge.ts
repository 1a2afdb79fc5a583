import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { Role } from "../../gen/haplane/v1/options_pb.js";
import type { Verifier } from "./auth.ts";
import type { Service } from "./handler.ts";
import type { Health } from "./health.ts";
import type { Listener, ListenerOptions } from "./listener.ts";

/** What the edge is built from. */
export interface EdgeOptions {
  /** The services of haplane; each method must carry a role. Health and reflection are added by the edge. */
  readonly services: readonly Service[];
  readonly health: Health;
  readonly verify: Verifier;
  readonly log: Logger;
  readonly metrics: Registry;
}

/** The services with their roles checked, ready for listeners: what `createEdge(options: EdgeOptions): Edge` makes. Throws when a method lacks a role. */
export interface Edge {
  readonly services: readonly Service[];
}

/** A plain HTTP route beside the RPCs, such as `/metrics`. */
export interface Route {
  /** Path without query. Only GET and HEAD are answered. */
  readonly path: string;
  /** `role`: needs credentials with that role. `health`: open, as the listener's policy for health says. */
  readonly access: { readonly kind: "role"; readonly role: Role } | { readonly kind: "health" };
  /** The whole answer. */
  readonly handle: () => Promise<RouteAnswer>;
}

/** The answer of a route. */
export interface RouteAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** The signature of `createGrpcListener` (grpc.ts). */
export type CreateGrpcListener = (edge: Edge, options: ListenerOptions) => Promise<Listener>;

/** The signature of `createConnectListener` (connect.ts). */
export type CreateConnectListener = (
  edge: Edge,
  options: ListenerOptions & { readonly routes: readonly Route[] },
) => Promise<Listener>;
