import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Stands in front of a server and can cut it off. */
export interface TcpProxy {
  readonly address: string;
  readonly port: number;
  /** Connections that are open now. */
  readonly connections: number;
  /** Resets every connection, and each new one. */
  cut(): void;
  /** Lets new connections through again. */
  mend(): void;
  stop(): Promise<void>;
}

const ADDRESS = "127.0.0.1";

/** Forwards a free port to `port`. */
export async function startTcpProxy(port: number): Promise<TcpProxy> {
  const clients = new Set<Socket>();
  let isCut = false;
  const server = createServer((client) => {
    if (isCut) {
      client.resetAndDestroy();
      return;
    }
    clients.add(client);
    const upstream = connect(port, ADDRESS);
    client.setNoDelay(true);
    upstream.setNoDelay(true);
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) socket.on("error", () => {});
    client.on("close", () => {
      clients.delete(client);
      upstream.destroy();
    });
    upstream.on("close", () => client.destroy());
  });
  server.listen(0, ADDRESS);
  await once(server, "listening");

  function cut(): void {
    isCut = true;
    for (const client of clients) client.resetAndDestroy();
  }

  return {
    address: ADDRESS,
    port: (server.address() as AddressInfo).port,
    get connections() {
      return clients.size;
    },
    cut,
    mend() {
      isCut = false;
    },
    async stop() {
      cut();
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}
