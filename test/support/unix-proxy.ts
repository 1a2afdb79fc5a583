import { once } from "node:events";
import { rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";

/** What a proxy does with what the server says. */
export type ProxyMood =
  | "pass"
  /** Says nothing more. */
  | "stuck"
  /** Closes connections at once. */
  | "cut"
  /** Gives a byte a second. */
  | "slow"
  /** Gives half of an answer, and closes. */
  | "half";

/** Stands in front of a unix socket and can misbehave. */
export interface UnixProxy {
  mood: ProxyMood;
  /** Connections that are open now. */
  readonly connections: number;
  /** Closes every connection; new ones are for the mood. */
  drop(): void;
  stop(): Promise<void>;
}

/** Listens at `path` for the server at `target`, which need not be there yet. */
export async function startUnixProxy(path: string, target: string): Promise<UnixProxy> {
  const clients = new Set<Socket>();
  const proxy = {
    mood: "pass" as ProxyMood,
    get connections() {
      return clients.size;
    },
    drop() {
      for (const client of clients) client.destroy();
    },
    async stop() {
      proxy.drop();
      const closed = once(server, "close");
      server.close();
      await closed;
      rmSync(path, { force: true });
    },
  };
  const server = createServer((client) => {
    if (proxy.mood === "cut") return void client.destroy();
    clients.add(client);
    const upstream = connect(target);
    client.pipe(upstream);
    upstream.on("data", (chunk) => answer(client, upstream, chunk));
    client.on("drain", () => upstream.resume());
    for (const socket of [client, upstream]) socket.on("error", () => {});
    client.on("close", () => {
      clients.delete(client);
      upstream.destroy();
    });
    upstream.on("close", () => client.end());
  });
  const answer = (client: Socket, upstream: Socket, chunk: Buffer) => {
    switch (proxy.mood) {
      case "pass":
        // A client that reads slowly is the server's matter, not ours to hide.
        if (!client.write(chunk)) upstream.pause();
        break;
      case "stuck":
        break;
      case "cut":
        client.destroy();
        break;
      case "slow":
        trickle(client, chunk);
        break;
      case "half":
        client.end(chunk.subarray(0, chunk.length / 2));
        break;
    }
  };
  server.listen(path);
  await once(server, "listening");
  return proxy;
}

const BYTE_MS = 1_000;

/** What a client is still to be given, a byte at a time. */
const owed = new WeakMap<Socket, Buffer>();

/** Gives a client the bytes in the order in which they came, however many chunks they came in. */
function trickle(client: Socket, chunk: Buffer): void {
  const before = owed.get(client);
  owed.set(client, before === undefined ? chunk : Buffer.concat([before, chunk]));
  if (before !== undefined) return;
  const timer = setInterval(() => {
    const rest = owed.get(client) as Buffer;
    if (rest.length === 0 || client.destroyed) return;
    client.write(rest.subarray(0, 1));
    owed.set(client, rest.subarray(1));
  }, BYTE_MS);
  client.once("close", () => clearInterval(timer));
}
