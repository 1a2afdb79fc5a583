import type { IncomingMessage, ServerResponse } from "node:http";
import { formatAddress } from "../lib/address.ts";
import type { Peer } from "./handler.ts";
import { formatListenAddress, type ListenAddress } from "./listener.ts";

/** What connect handlers answer with. */
export interface UniversalResponse {
  readonly status: number;
  readonly header?: Headers;
  readonly body?: AsyncIterable<Uint8Array> | Uint8Array;
  readonly trailer?: Headers;
}

/** Where a request comes from. */
export function peerOf(request: IncomingMessage, address: ListenAddress): Peer {
  if (address.kind === "unix") return { kind: "unix", address: formatListenAddress(address) };
  const { remoteAddress = "unknown", remotePort = 0 } = request.socket;
  return { kind: "tcp", address: formatAddress({ host: remoteAddress, port: remotePort }) };
}

/**
 * The body of a request, read as fast as it is asked for. Once the response has been sent, what is left of the body is read and thrown away: otherwise it would
 * keep the next request on the connection from being seen.
 */
export function createBody(request: IncomingMessage, response: ServerResponse): AsyncIterable<Uint8Array> {
  const chunks: AsyncIterator<Uint8Array> = request.iterator({ destroyOnReturn: false });
  response.once("finish", () => {
    void chunks.return?.().then(() => request.resume());
  });
  return { [Symbol.asyncIterator]: () => chunks };
}

/** Where a response is written. */
export interface ResponseSink {
  /**
   * Writes a response as fast as the peer reads it and no faster. Ends quietly when the peer is gone: the handler learns that from its signal.
   */
  write(response: UniversalResponse): Promise<void>;
}

/**
 * Takes charge of writing a response; to be called before anything is awaited. (connect-node's own writer waits for ever when a peer whose buffer is full
 * vanishes.)
 */
export function createSink(to: ServerResponse): ResponseSink {
  let gone = false;
  let wake = () => {};
  to.on("drain", () => wake());
  to.once("close", () => {
    gone = true;
    wake();
  });
  // The end of the response says it all.
  to.on("error", () => {});
  return {
    async write({ status, header, body = [], trailer }) {
      let headSent = false;
      const sendHead = () => {
        if (!headSent) to.writeHead(status, toNodeHeaders(header));
        headSent = true;
      };
      for await (const chunk of body instanceof Uint8Array ? [body] : body) {
        if (gone) return;
        sendHead();
        if (!to.write(chunk)) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        if (gone) return;
      }
      if (gone) return;
      sendHead();
      if (trailer !== undefined) to.addTrailers(toNodeHeaders(respell(trailer)));
      to.end();
    },
  };
}

/**
 * connect escapes more of `grpc-message` than the protocol asks for, and some clients (grpc-js) take only those escapes back that it does: everything outside of
 * printable ASCII, and `%`.
 */
function respell(trailer: Headers): Headers {
  const message = trailer.get("grpc-message");
  if (message !== null) trailer.set("grpc-message", encodeURI(decodeURIComponent(message)));
  return trailer;
}

function toNodeHeaders(headers: Headers | undefined): Record<string, string> {
  return headers === undefined ? {} : Object.fromEntries(headers);
}
