import type { Http2Server, ServerHttp2Session } from "node:http2";
import type { ListenerLimits } from "./listener.ts";

/** The HTTP/2 connections of one listener. */
export interface Http2Sessions {
  /** Tells every peer, also those who come later, to open no more streams; a connection closes when its last stream ends. */
  goaway(): void;
}

/** Why a connection was ended. `protocol`: what came was not HTTP/2, or a flood of it. */
export type ConnectionLimit = "max_streams" | "keepalive_timeout" | "handshake" | "protocol";

/** Looks after HTTP/2 connections: windows, a deadline for the first settings, pings that find dead peers. Tells `ended` of each that it gives up. */
export function superviseSessions(
  server: Http2Server,
  limits: ListenerLimits,
  ended: (limit: ConnectionLimit) => void,
): Http2Sessions {
  const sessions = new Set<ServerHttp2Session>();
  let closing = false;
  server.on("session", (session) => {
    sessions.add(session);
    const end = (limit: ConnectionLimit) => {
      ended(limit);
      session.destroy();
    };
    const mostStreams = countStreams(session);
    // What is wrong with a connection concerns its peer alone. Node tells of an error of its own when it gives the peer up, and of one of the system when the peer is gone.
    session.on("error", (error: NodeJS.ErrnoException) => {
      if (!error.code?.startsWith("ERR_HTTP2_")) return;
      // Streams that came with the one too many are told of afterwards.
      setImmediate(() => ended(mostStreams() >= limits.maxConcurrentStreams ? "max_streams" : "protocol"));
    });
    session.setLocalWindowSize(4 * limits.windowBytes);
    const greeting = setTimeout(() => end("handshake"), limits.handshakeTimeoutMs);
    const stopPings = keepAlive(session, limits, () => end("keepalive_timeout"));
    session.once("remoteSettings", () => {
      clearTimeout(greeting);
      if (closing) session.close();
    });
    session.once("close", () => {
      clearTimeout(greeting);
      stopPings();
      sessions.delete(session);
    });
  });
  return {
    goaway() {
      closing = true;
      for (const session of sessions) session.close();
    },
  };
}

/** Counts the streams of a session: how many were open at once at most. */
function countStreams(session: ServerHttp2Session): () => number {
  let open = 0;
  let most = 0;
  session.on("stream", (stream) => {
    open += 1;
    most = Math.max(most, open);
    stream.once("close", () => {
      open -= 1;
    });
  });
  return () => most;
}

/** Pings at intervals, and calls `dead` when an answer is late. Returns the way to stop. */
function keepAlive(session: ServerHttp2Session, limits: ListenerLimits, dead: () => void): () => void {
  let late: NodeJS.Timeout | undefined;
  const interval = setInterval(() => {
    if (session.destroyed || late !== undefined) return;
    late = setTimeout(dead, limits.keepaliveTimeoutMs);
    const sent = session.ping((error) => {
      clearTimeout(late);
      late = undefined;
      if (error) session.destroy();
    });
    if (!sent) session.destroy();
  }, limits.keepaliveIntervalMs);
  return () => {
    clearInterval(interval);
    clearTimeout(late);
  };
}
