import { once } from "node:events";
import { Agent, createServer, get, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** An instance of a small application, which answers every request with its name. */
export interface App {
  readonly name: string;
  readonly port: number;
  /** Ends it as the end of its process would: nothing listens any more, and what is open is cut. */
  stop(): Promise<void>;
}

/** Starts one on a free port of 127.0.0.1. */
export async function startApp(name: string): Promise<App> {
  const server: Server = createServer((_request, response) => response.end(name));
  // HAProxy decides when an idle connection ends: a server that ends it at the same moment loses a request.
  server.keepAliveTimeout = 0;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    name,
    port: (server.address() as AddressInfo).port,
    async stop() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Requests that are made one after another on each of several clients. */
export interface Traffic {
  readonly total: number;
  /**
   * How many were made again, on another connection, because a kept one ended while they were on their way and nothing of an answer had come. Whoever ends an idle connection, as a HAProxy does that is
   * reloaded, cannot keep a request from meeting that: HTTP has clients repeat it (RFC 9112, 9.3.1). On a new connection it would be a failure.
   */
  readonly repeated: number;
  /** What went wrong, one line each. */
  readonly failures: readonly string[];
  /** How many requests each application has answered. */
  readonly served: ReadonlyMap<string, number>;
  /** Ends it, and waits for the last answers. */
  stop(): Promise<void>;
}

/** What traffic consists of. */
export interface TrafficOptions {
  readonly url: string;
  /** Clients that keep their connection. */
  readonly keeping: number;
  /** Clients that open a connection for each request. */
  readonly opening: number;
  /** How long each client waits between an answer and its next request, in milliseconds. Default: not at all. */
  readonly pauseMs?: number;
  /** Names that are good answers. */
  readonly isExpected: (name: string) => boolean;
  /** Called with every good answer. */
  readonly onAnswer?: (name: string) => void;
}

/** Starts it. */
export function startTraffic(options: TrafficOptions): Traffic {
  const { url, keeping, opening, pauseMs, isExpected, onAnswer } = options;
  const failures: string[] = [];
  const served = new Map<string, number>();
  let total = 0;
  let repeated = 0;
  let isStopped = false;

  async function client(keepAlive: boolean): Promise<void> {
    const agent = new Agent({ keepAlive, maxSockets: 1 });
    while (!isStopped) {
      total++;
      try {
        const name = await fetchText(url, agent).catch((error: unknown) => {
          if (!(error instanceof KeptConnectionEnded)) throw error;
          repeated++;
          return fetchText(url, agent);
        });
        if (!isExpected(name)) throw new Error(`the answer is "${name}"`);
        served.set(name, (served.get(name) ?? 0) + 1);
        onAnswer?.(name);
      } catch (error) {
        const { message, code } = error as NodeJS.ErrnoException;
        failures.push(`${keepAlive ? "kept" : "new"} connection: ${code ?? message}`);
      }
      if (pauseMs !== undefined) await sleep(pauseMs);
    }
    agent.destroy();
  }

  const clients = [
    ...Array.from({ length: keeping }, () => client(true)),
    ...Array.from({ length: opening }, () => client(false)),
  ];
  return {
    get total() {
      return total;
    },
    get repeated() {
      return repeated;
    },
    failures,
    served,
    async stop() {
      isStopped = true;
      await Promise.all(clients);
    },
  };
}

/** A connection that had served before ended before anything of an answer came. */
class KeptConnectionEnded extends Error {
  readonly code = "ECONNRESET";
}

/** One request; rejects when the answer is not 200. */
export function fetchText(url: string, agent: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent }, async (response) => {
      try {
        let text = "";
        for await (const chunk of response.setEncoding("utf8")) text += chunk;
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`status ${response.statusCode}: ${text.slice(0, 100)}`));
      } catch (error) {
        reject(error);
      }
    });
    request.on("error", (error: NodeJS.ErrnoException) =>
      reject(
        request.reusedSocket && error.code === "ECONNRESET" ? new KeptConnectionEnded(error.message) : error,
      ),
    );
  });
}
