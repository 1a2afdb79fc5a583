import { connect } from "node:net";

/** How much time and answer is taken. */
export interface AskLimits {
  /** Default: 3,000 ms. */
  readonly timeoutMs?: number;
  /** Default: 1 MB; what comes after is left out. */
  readonly maxBytes?: number;
}

/**
 * Sends one command to a socket of HAProxy over a connection of its own and reads the answer to its end. For a look from outside: what runs has connections that are kept. Rejects with the system's error, or when
 * the answer takes too long.
 */
export function askOnce(
  path: string,
  command: string,
  { timeoutMs = 3_000, maxBytes = 1024 * 1024 }: AskLimits = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    let answer = "";
    const timer = setTimeout(
      () => socket.destroy(new Error(`no answer to "${command}" within ${timeoutMs} ms`)),
      timeoutMs,
    );
    socket.setEncoding("utf8");
    // The master closes its side only after ours.
    socket.on("connect", () => socket.end(`${command}\n`));
    socket.on("data", (text: string) => {
      answer += text;
      if (answer.length > maxBytes) socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(answer.trim());
    });
  });
}
