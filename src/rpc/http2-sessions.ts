import type { Http2Server, ServerHttp2Session } from "node:http2";
import type { ListenerLimits } from "./listener.ts";

/** The HTTP/2 connections of one listener. */
export interface Http2Sessions {
  /** Tells every peer, also those who come later, to open no more streams; a connection closes when its last stream ends. */
  goaway(): void;
}

/** Looks after HTTP/2 connections: windows, a deadline for the first settings, pings that find dead peers. */
export function superviseSessions(server: Http2Server, limits: ListenerLimits): Http2Sessions {
  const sessions = new Set<ServerHttp2Session>();
  let closing = false;
  server.on("session", (session) => {
    sessions.add(session);
    // What is wrong with a connection concerns its peer alone.
    session.on("error", () => {});
    session.setLocalWindowSize(4 * limits.windowBytes);
    const greeting = setTimeout(() => session.destroy(), limits.handshakeTimeoutMs);
    const stopPings = keepAlive(session, limits);
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

/** Pings at intervals and destroys the session when an answer is late. Returns the way to stop. */
function keepAlive(session: ServerHttp2Session, limits: ListenerLimits): () => void {
  let late: NodeJS.Timeout | undefined;
  const interval = setInterval(() => {
    if (session.destroyed || late !== undefined) return;
    late = setTimeout(() => session.destroy(), limits.keepaliveTimeoutMs);
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
