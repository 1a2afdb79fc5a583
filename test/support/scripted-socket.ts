import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What a scripted HAProxy does with a command. */
export type Reaction =
  /** Prints this, then the prompt. */
  | string
  /** Prints these bytes as they are, without a prompt, and closes the connection. */
  | { readonly kind: "cut"; readonly after: string }
  /** Prints these bytes as they are, whatever that breaks. */
  | { readonly kind: "raw"; readonly bytes: string }
  /** Answers once the promise is fulfilled; later commands wait behind it. */
  | { readonly kind: "later"; readonly answer: Promise<string> };

/** A server that speaks the prompt mode of HAProxy's stats socket by a script, for what the real one cannot be made to do. */
export interface ScriptedSocket {
  readonly statsSocket: string;
  /** The process id that `show info` gives. */
  pid: number;
  /** Commands received, those of the greeting left out. */
  readonly received: string[];
  /** Connections that are open. */
  readonly connections: ReadonlySet<Socket>;
  /** Reacts to commands; the default answers each with nothing. */
  react: (command: string) => Reaction;
  /** Answers nothing, greetings included, until `thaw`. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

/** Starts one on a socket in a temporary directory. */
export async function startScriptedSocket(): Promise<ScriptedSocket> {
  const dir = mkdtempSync(join(tmpdir(), "haplane-socket-"));
  const statsSocket = join(dir, "stats.sock");
  const connections = new Set<Socket>();
  const received: string[] = [];
  let gate = Promise.withResolvers<void>();
  gate.resolve();
  const server = createServer((socket) => serve(socket));
  server.listen(statsSocket);
  await once(server, "listening");

  const haproxy: ScriptedSocket = {
    statsSocket,
    pid: 1_000,
    received,
    connections,
    react: () => "",
    freeze() {
      gate = Promise.withResolvers<void>();
    },
    thaw() {
      gate.resolve();
    },
    async stop() {
      const closed = once(server, "close");
      server.close();
      for (const socket of connections) socket.destroy();
      await closed;
      rmSync(dir, { recursive: true, force: true });
    },
  };

  function serve(socket: Socket): void {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    socket.on("error", () => {});
    const { pid } = haproxy;
    let rest = "";
    let queue = Promise.resolve();
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      rest += chunk;
      const lines = rest.split("\n");
      rest = lines.pop() as string;
      for (const line of lines) queue = queue.then(() => answer(line));
    });

    async function answer(command: string): Promise<void> {
      await gate.promise;
      if (command === "prompt" || command.startsWith("set severity") || command.startsWith("set timeout")) {
        socket.write("\n> ");
        return;
      }
      if (command === "show info") {
        socket.write(`Name: HAProxy\nVersion: 2.6.12\nPid: ${pid}\nUptime_sec: 1\nStopping: 0\n\n> `);
        return;
      }
      received.push(command);
      const reaction = haproxy.react(command);
      if (typeof reaction === "string") {
        socket.write(`${reaction}\n> `);
      } else if (reaction.kind === "later") {
        socket.write(`${await reaction.answer}\n> `);
      } else if (reaction.kind === "raw") {
        socket.write(reaction.bytes);
      } else {
        socket.end(reaction.after);
      }
    }
  }

  return haproxy;
}
