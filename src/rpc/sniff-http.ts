import type { Socket } from "node:net";

const PREFACE = Buffer.from("PRI * HTTP/2");

/** Gives a new connection to the right server, by its first bytes. Closes it when they do not come in time. */
export function sniffHttp(
  socket: Socket,
  timeoutMs: number,
  serve: { readonly http1: (socket: Socket) => void; readonly http2: (socket: Socket) => void },
): void {
  let head: Buffer = Buffer.alloc(0);
  const giveUp = () => socket.destroy();
  const timer = setTimeout(giveUp, timeoutMs);
  const stop = () => {
    clearTimeout(timer);
    socket.off("readable", look);
    socket.off("end", giveUp);
    socket.off("close", stop);
  };
  const look = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    head = Buffer.concat([head, chunk]);
    const compared = Math.min(head.length, PREFACE.length);
    const mayBeHttp2 = head.compare(PREFACE, 0, compared, 0, compared) === 0;
    if (mayBeHttp2 && head.length < PREFACE.length) return;
    stop();
    socket.unshift(head);
    if (!mayBeHttp2) return serve.http1(socket);
    // Node's HTTP/1.1 server accepts half-open sockets; a closed HTTP/2 connection must end its streams at once.
    socket.allowHalfOpen = false;
    serve.http2(socket);
  };
  socket.on("readable", look);
  socket.once("end", giveUp);
  socket.once("close", stop);
}
