import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { DescMethod, JsonObject } from "@bufbuild/protobuf";
import { type Driver, type Failure, type Outcome, type StreamBuffer, streamBuffer } from "./driver.ts";

const CLIENT = fileURLToPath(new URL("python_client.py", import.meta.url));

/** A line that the client prints. */
type Line = { readonly id: number } & (
  | { readonly kind: "message"; readonly message: JsonObject }
  | ({ readonly kind: "end" } & (Failure | { readonly code: "OK" }))
);

/** Drives the Python client: one process, told by lines of JSON what to call. `modules`: where the generated modules are. */
export function pythonDriver(interpreter: string, modules: string, target: string, admin: string): Driver {
  const child = spawn(interpreter, [CLIENT, target], {
    env: { PYTHONPATH: modules, PYTHONDONTWRITEBYTECODE: "1" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const streams = new Map<number, StreamBuffer>();
  let last = 0;
  const tell = (line: object) => void child.stdin.write(`${JSON.stringify(line)}\n`);
  createInterface({ input: child.stdout }).on("line", (text) => {
    const { id, ...line } = JSON.parse(text) as Line;
    if (line.kind === "message") streams.get(id)?.push(line.message);
    else streams.get(id)?.end(line);
  });
  child.on("exit", () => {
    for (const stream of streams.values()) {
      stream.end({ code: "UNKNOWN", reason: "the Python client has ended", details: [] });
    }
  });

  function open(
    op: "unary" | "stream",
    method: DescMethod,
    request: JsonObject,
    token: string,
  ): StreamBuffer {
    const id = ++last;
    const stream = streamBuffer(() => tell({ id, op: "cancel" }));
    streams.set(id, stream);
    const { file, name: service } = method.parent;
    tell({ id, op, module: file.name.replaceAll("/", "."), service, method: method.name, request, token });
    return stream;
  }

  return {
    async call(method, request, token = admin): Promise<Outcome> {
      const { ended, messages } = open("unary", method, request, token);
      const end = await ended;
      return end.code === "OK" ? { code: "OK", message: messages[0] as JsonObject } : (end as Failure);
    },
    stream: (method, request, token = admin) => open("stream", method, request, token),
    async close() {
      child.stdin.end();
      await exited;
    },
  };
}
