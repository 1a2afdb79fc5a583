import type { ClientRequest, IncomingMessage } from "node:http";

/** What `http` and `https` have in common, as far as the package `consul` uses it. */
export interface Transport {
  request(options: object): ClientRequest;
}

/**
 * Wraps a transport so that a request always ends: with an error when the connection breaks in the middle of the answer (the package waits for its end only),
 * and when the answer grows beyond `maxBytes`.
 */
export function guard(transport: Transport, maxBytes: number): Transport {
  return {
    request(options) {
      const request = transport.request(options);
      request.on("response", (response) => watchResponse(request, response, maxBytes));
      return request;
    },
  };
}

function watchResponse(request: ClientRequest, response: IncomingMessage, maxBytes: number): void {
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= maxBytes) return;
    request.emit("error", new Error(`the answer is larger than ${maxBytes} bytes`));
    request.destroy();
  });
  response.on("close", () => {
    if (!response.complete)
      request.emit("error", new Error("the connection broke in the middle of the answer"));
  });
}
