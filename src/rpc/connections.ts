import type { Server, Socket } from "node:net";
import type { RpcMetrics } from "./metrics.ts";

/** The open connections of one listener. */
export interface Connections {
  /** Resolves when none is open. */
  idle(): Promise<void>;
  /** Cuts them all off. */
  destroy(): void;
}

/** Counts and limits the connections that a server accepts, and keeps their errors from becoming ours. */
export function trackConnections(
  server: Server,
  options: { readonly listener: string; readonly max: number; readonly metrics: RpcMetrics },
): Connections {
  const { listener, max, metrics } = options;
  const open = new Set<Socket>();
  let waiting: (() => void)[] = [];
  server.maxConnections = max;
  server.on("drop", () => metrics.connectionRefused(listener));
  server.prependListener("connection", (socket: Socket) => {
    open.add(socket);
    metrics.connectionOpened(listener);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    // A peer may vanish at any time; whoever uses the socket learns it from its end.
    socket.on("error", () => {});
    socket.once("close", () => {
      open.delete(socket);
      metrics.connectionClosed(listener);
      if (open.size > 0) return;
      for (const resolve of waiting) resolve();
      waiting = [];
    });
  });
  return {
    idle: () => (open.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    destroy() {
      for (const socket of open) socket.destroy();
    },
  };
}
