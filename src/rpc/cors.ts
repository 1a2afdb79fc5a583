import type { IncomingMessage, ServerResponse } from "node:http";
import { cors } from "@connectrpc/connect";

/** How long a browser may remember the answer to its question, in seconds. */
const MAX_AGE_S = 7_200;

/** What calls carry beside what the protocols do. */
const OWN_HEADERS = ["Authorization", "X-Request-Id", "Traceparent"];

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Lets pages of the listed origins call, and see what is answered; browsers keep all others from both. The list is asked anew for every request. Credentials of the browser's own (cookies, certificates)
 * are never allowed for.
 */
export function allowOrigins(origins: () => readonly string[], handle: Handle): Handle {
  return (request, response) => {
    const { origin } = request.headers;
    if (origin === undefined || !origins().includes(origin)) return handle(request, response);
    response.setHeader("access-control-allow-origin", origin);
    response.setHeader("vary", "Origin");
    if (request.method !== "OPTIONS" || request.headers["access-control-request-method"] === undefined) {
      response.setHeader("access-control-expose-headers", cors.exposedHeaders.join(", "));
      return handle(request, response);
    }
    response.writeHead(204, {
      "access-control-allow-methods": cors.allowedMethods.join(", "),
      "access-control-allow-headers": [...cors.allowedHeaders, ...OWN_HEADERS].join(", "),
      "access-control-max-age": String(MAX_AGE_S),
    });
    response.end();
  };
}
