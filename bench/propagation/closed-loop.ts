import { once } from "node:events";
import { connect } from "node:net";

/** One connection that asks, waits for the answer, and asks again at once. */
export interface ClosedLoop {
  /** Resolves with the time at which the first answer with this body arrives from now on, in milliseconds of `performance.now()`. */
  firstAnswer(body: string): Promise<number>;
  /** Asks on, or makes a pause after the next answer. */
  setActive(active: boolean): void;
  stop(): void;
}

/** Connects, and begins with a pause. An answer that is not 200 rejects what waits, and ends it. */
export async function startClosedLoop(port: number, path: string): Promise<ClosedLoop> {
  const request = `GET ${path} HTTP/1.1\r\nhost: bench\r\n\r\n`;
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.setNoDelay(true);
  let waiting: { body: string; resolve: (at: number) => void; reject: (error: Error) => void } | undefined;
  let text = "";
  let isActive = false;
  let isAsking = false;
  const ask = () => {
    if (!isActive || isAsking) return;
    isAsking = true;
    socket.write(request);
  };
  const fail = (error: Error) => {
    waiting?.reject(error);
    socket.destroy();
  };
  socket.setEncoding("latin1").on("data", (chunk) => {
    text += chunk;
    const end = text.indexOf("\r\n\r\n");
    if (end < 0 || !text.endsWith("\n", text.length) || text.length === end + 4) return;
    if (!text.startsWith("HTTP/1.1 200 ")) return fail(new Error(`the answer was ${text}`));
    const body = text.slice(end + 4, -1);
    text = "";
    if (waiting?.body === body) {
      waiting.resolve(performance.now());
      waiting = undefined;
    }
    isAsking = false;
    ask();
  });
  socket.on("error", fail).on("close", () => waiting?.reject(new Error("the connection was closed")));
  return {
    firstAnswer: (body) =>
      new Promise((resolve, reject) => {
        waiting = { body, resolve, reject };
      }),
    setActive(active) {
      isActive = active;
      ask();
    },
    stop: () => void socket.destroy(),
  };
}
