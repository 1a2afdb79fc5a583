import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "pino";
import { DomainError, type ErrorReason } from "../lib/errors.ts";
import type { Access, Gate } from "./auth.ts";
import { peerOf } from "./http-message.ts";
import type { ListenAddress } from "./listener.ts";
import { certificateOf } from "./tls.ts";

/** A plain HTTP route beside the RPCs, such as `/metrics`; GET and HEAD only. */
export interface Route {
  /** Path without query. */
  readonly path: string;
  /** Who may get it. `health`: everyone, unless the listener's policy switches health off. */
  readonly access: Extract<Access, { kind: "role" | "health" }>;
  /** Makes the whole answer. */
  readonly handle: (query: URLSearchParams) => Promise<RouteAnswer>;
}

/** The answer of a route. */
export interface RouteAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Answers plain HTTP requests: the routes, 404 for the rest. */
export function routeHandler(options: {
  readonly routes: readonly Route[];
  readonly gate: Gate;
  readonly address: ListenAddress;
  readonly log: Logger;
}): (request: IncomingMessage, response: ServerResponse) => void {
  const { gate, log } = options;
  const routes = new Map(options.routes.map((route) => [route.path, route]));

  const answer = async (
    request: IncomingMessage,
  ): Promise<RouteAnswer & { readonly headers?: Record<string, string> }> => {
    const route = routes.get(request.url?.split("?", 1)[0] ?? "");
    if (route === undefined) return text(404, "not found");
    if (request.method !== "GET" && request.method !== "HEAD") {
      return { ...text(405, "only GET and HEAD"), headers: { allow: "GET, HEAD" } };
    }
    try {
      await gate(route.access, {
        peer: peerOf(request, options.address),
        authorization: request.headers.authorization,
        certificate: () => certificateOf(request.socket),
      });
      return await route.handle(new URLSearchParams(request.url?.split("?")[1] ?? ""));
    } catch (error) {
      if (isRefusal(error, "LIMIT_EXCEEDED")) return text(429, error.message);
      if (isRefusal(error, "PERMISSION_DENIED")) return text(403, error.message);
      if (isRefusal(error, "UNAUTHENTICATED")) {
        return { ...text(401, error.message), headers: { "www-authenticate": "Bearer, Basic" } };
      }
      log.error({ err: error, route: route.path }, "route failed");
      return text(500, "internal error");
    }
  };

  return (request, response) => {
    answer(request)
      .then(({ status, contentType, body, headers }) => {
        const bytes = Buffer.from(body);
        response.writeHead(status, {
          "content-type": contentType,
          "content-length": bytes.length,
          "x-content-type-options": "nosniff",
          ...headers,
        });
        response.end(request.method === "HEAD" ? undefined : bytes);
      })
      .catch((error: unknown) => {
        log.error({ err: error, path: request.url }, "route failed");
        response.destroy();
      });
  };
}

function isRefusal(error: unknown, reason: ErrorReason): error is DomainError {
  return error instanceof DomainError && error.reason === reason;
}

function text(status: number, sentence: string): RouteAnswer {
  return { status, contentType: "text/plain; charset=utf-8", body: `${sentence}\n` };
}
