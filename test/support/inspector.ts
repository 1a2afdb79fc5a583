import { openFiles } from "./process-use.ts";

/** What a process holds at one moment. */
export interface Held {
  /** How many of each kind of what keeps its event loop busy: sockets, servers, timers, requests. */
  readonly resources: Readonly<Record<string, number>>;
  /** Open file descriptors. */
  readonly files: number;
  /** Bytes of its heap and outside of it after a collection of garbage. */
  readonly memory: number;
}

/** Looks into a Node process that was started with `--inspect=127.0.0.1:0 --expose-gc`. */
export interface Inspector {
  held(): Promise<Held>;
  close(): void;
}

/** Collects garbage until finalizers, too, have had their turn. */
const LOOK = `(async () => {
  for (let n = 0; n < 3; n += 1) { gc(); await new Promise((resolve) => setTimeout(resolve, 20)); }
  const { heapUsed, external } = process.memoryUsage();
  return JSON.stringify({ resources: process.getActiveResourcesInfo(), memory: heapUsed + external });
})()`;

/** Connects to a process's inspector, by what it has logged. */
export async function inspect(pid: number, log: string): Promise<Inspector> {
  const [url] = /ws:\/\/127\.0\.0\.1:\d+\/[\w-]+/.exec(log) ?? [];
  if (url === undefined) throw new Error("the process does not say where its inspector is");
  const socket = new WebSocket(url);
  const answers = new Map<number, (answer: unknown) => void>();
  socket.addEventListener("message", ({ data }) => {
    const { id, result } = JSON.parse(String(data)) as { id: number; result: unknown };
    answers.get(id)?.(result);
    answers.delete(id);
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", reject);
  });
  let last = 0;
  const evaluate = (expression: string) =>
    new Promise<unknown>((resolve) => {
      last += 1;
      answers.set(last, resolve);
      const params = { expression, awaitPromise: true, returnByValue: true };
      socket.send(JSON.stringify({ id: last, method: "Runtime.evaluate", params }));
    });
  return {
    async held() {
      const answer = (await evaluate(LOOK)) as { result: { value: string } };
      const { resources, memory } = JSON.parse(answer.result.value) as {
        resources: string[];
        memory: number;
      };
      const counts: Record<string, number> = {};
      for (const kind of resources) counts[kind] = (counts[kind] ?? 0) + 1;
      return { resources: counts, memory, files: openFiles(pid) };
    },
    close: () => socket.close(),
  };
}
