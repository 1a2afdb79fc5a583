import { connect } from "node:net";

const TIMEOUT_MS = 3_000;
const MAX_ANSWER = 1024 * 1024;

/**
 * Sends one command to a socket of HAProxy over a connection of its own and reads the answer to its end, at most 1 MB of it. For a look from outside: what runs
 * has connections that are kept. Rejects with the system's error, or when the answer takes longer than 3 s.
 */
export function askOnce(path: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    let answer = "";
    const timer = setTimeout(
      () => socket.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)),
      TIMEOUT_MS,
    );
    socket.setEncoding("utf8");
    socket.on("connect", () => socket.end(`${command}\n`));
    socket.on("data", (text: string) => {
      answer += text;
      if (answer.length > MAX_ANSWER) socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(answer.trim());
    });
  });
}
