import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** Answers in the server's stead, or changes what it answers. */
export interface HttpFault {
  /** Answers a request itself. */
  readonly instead?: (request: IncomingMessage, response: ServerResponse) => void;
  /** Changes the headers of an answer. */
  readonly headers?: (headers: Record<string, string>) => void;
  /** Holds an answer back for so long, in milliseconds. */
  readonly delayMs?: number;
}

/** Stands in front of an HTTP server, and misbehaves when told to. */
export interface HttpProxy {
  readonly port: number;
  /** What is wrong from now on; undefined is nothing. Requests that wait for an answer are cut, so that it holds for them too. */
  misbehave(fault: HttpFault | undefined): void;
  stop(): Promise<void>;
}

const HOST = "127.0.0.1";

/** Forwards a free port of 127.0.0.1 to another. */
export async function startHttpProxy(to: number): Promise<HttpProxy> {
  let fault: HttpFault | undefined;
  const clients = new Set<Socket>();

  function forward(incoming: IncomingMessage, response: ServerResponse): void {
    if (fault?.instead !== undefined) {
      fault.instead(incoming, response);
      return;
    }
    const { method, url: path, headers } = incoming;
    const outgoing = request({ host: HOST, port: to, method, path, headers });
    outgoing.on("error", () => response.destroy());
    outgoing.on("response", (answer) => {
      const names = answer.headers as Record<string, string>;
      fault?.headers?.(names);
      const timer = setTimeout(() => {
        response.writeHead(answer.statusCode ?? 502, names);
        answer.pipe(response);
      }, fault?.delayMs ?? 0);
      response.on("close", () => clearTimeout(timer));
    });
    response.on("close", () => outgoing.destroy());
    incoming.pipe(outgoing);
  }

  const cut = () => {
    for (const client of clients) client.destroy();
  };
  const server = createServer(forward);
  server.on("connection", (client) => {
    clients.add(client);
    client.on("close", () => clients.delete(client));
  });
  server.listen(0, HOST);
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    misbehave(next) {
      fault = next;
      cut();
    },
    async stop() {
      const closed = once(server, "close");
      server.close();
      cut();
      await closed;
    },
  };
}
