import type { IncomingMessage, ServerResponse } from "node:http";
import type { ContextValues } from "@connectrpc/connect";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import type { Peer } from "./handler.ts";
import type { ListenAddress } from "./listener.ts";
import { tcpPeer, unixPeer } from "./peer.ts";

/** What connect handlers answer with. */
export interface UniversalResponse {
  readonly status: number;
  readonly header?: Headers;
  readonly body?: AsyncIterable<Uint8Array> | Uint8Array;
  readonly trailer?: Headers;
}

/** Where a request comes from. */
export function peerOf(request: IncomingMessage, address: ListenAddress): Peer {
  return address.kind === "unix" ? unixPeer(address) : tcpPeer(request.socket);
}

/**
 * A request as connect wants it. (connect-node's own takes a client that resets its stream with an odd code for an error of the server, and throws where no
 * listener is prepared for it.) Its signal aborts when the response is closed, done or not. Undefined when the request names no authority, or none that an URL can
 * be made of.
 */
export function toUniversalRequest(
  request: IncomingMessage,
  response: ServerResponse,
  contextValues: ContextValues,
): UniversalServerRequest | undefined {
  const { httpVersion, method = "", url = "" } = request;
  const authority = request.headers[":authority"] ?? request.headers.host;
  const absolute = URL.parse(url, `http://${authority}`);
  if (authority === undefined || absolute === null) return undefined;
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const header = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (!name.startsWith(":") && value !== undefined) header.set(name, [value].flat().join(", "));
  }
  const body = createBody(request, response);
  return { httpVersion, method, url: absolute.href, header, body, signal: gone.signal, contextValues };
}

/**
 * The body of a request, read as fast as it is asked for. A client that gives up in the middle makes it fail: to Node a stream that was reset ends like one that
 * is complete. Once the response has been sent, what is left of the body is read and thrown away: otherwise it would keep the next request on the connection from
 * being seen.
 */
function createBody(request: IncomingMessage, response: ServerResponse): AsyncIterable<Uint8Array> {
  const chunks: AsyncIterator<Uint8Array> = request.iterator({ destroyOnReturn: false });
  const finish = () => chunks.return?.() ?? Promise.resolve({ done: true, value: undefined });
  response.once("finish", () => {
    void finish().then(() => request.resume());
  });
  const next = async () => {
    const step = await chunks.next();
    if (step.done === true && request.aborted)
      throw new Error("the client gave up before the end of its request");
    return step;
  };
  return { [Symbol.asyncIterator]: () => ({ next, return: finish }) };
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
