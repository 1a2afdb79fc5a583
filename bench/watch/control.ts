import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { endChild } from "../../test/support/child.ts";

/** What a server under measurement is told. */
export type Order =
  /** Sends `count` batches of `size` events, one every `everyMs`. */
  | { readonly kind: "publish"; readonly count: number; readonly size: number; readonly everyMs: number }
  /** Asks for the CPU that it has used. */
  | { readonly kind: "cpu" }
  /** Asks for its memory, after a collection of garbage. */
  | { readonly kind: "memory" };

/** What it answers. */
export type Answer =
  | { readonly kind: "ready" }
  | { readonly kind: "published" }
  | { readonly kind: "cpu"; readonly ms: number }
  | { readonly kind: "memory"; readonly rssKb: number };

/** A server in a process of its own. */
export interface Served {
  readonly name: string;
  publish(count: number, size: number, everyMs: number): Promise<void>;
  /** Milliseconds that it has computed since its start. */
  cpu(): Promise<number>;
  /** Kilobytes that it holds. */
  memory(): Promise<number>;
  end(): Promise<void>;
}

/** Starts `script` with arguments and waits until it listens. */
export async function serve(name: string, script: string, args: readonly string[]): Promise<Served> {
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), args, {
    execArgv: ["--expose-gc"],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  await answerOf(child, "ready");
  const ask = <Kind extends Answer["kind"]>(order: Order, kind: Kind) => {
    const answer = answerOf(child, kind);
    child.send(order);
    return answer;
  };
  return {
    name,
    async publish(count, size, everyMs) {
      await ask({ kind: "publish", count, size, everyMs }, "published");
    },
    cpu: async () => (await ask({ kind: "cpu" }, "cpu")).ms,
    memory: async () => (await ask({ kind: "memory" }, "memory")).rssKb,
    end: () => endChild(child, "SIGTERM", 5_000),
  };
}

async function answerOf<Kind extends Answer["kind"]>(
  child: ChildProcess,
  kind: Kind,
): Promise<Extract<Answer, { kind: Kind }>> {
  const over = new AbortController();
  const exit = once(child, "exit", { signal: over.signal }).then(([code]) => {
    throw new Error(`the server ended with ${code}`);
  });
  try {
    for (;;) {
      const [answer] = (await Promise.race([once(child, "message", { signal: over.signal }), exit])) as [
        Answer,
      ];
      if (answer.kind === kind) return answer as Extract<Answer, { kind: Kind }>;
    }
  } finally {
    exit.catch(() => {});
    over.abort();
  }
}

/** The other end: answers orders until the process is told to end. `publish` sends one batch of so many events. */
export function obey(publish: (size: number) => void | Promise<void>): void {
  const answer = (message: Answer) => process.send?.(message);
  process.on("message", async (order: Order) => {
    switch (order.kind) {
      case "publish":
        await paced(order, publish);
        answer({ kind: "published" });
        break;
      case "cpu": {
        const { user, system } = process.cpuUsage();
        answer({ kind: "cpu", ms: (user + system) / 1_000 });
        break;
      }
      case "memory":
        // Once more for what finalizers have set free.
        for (let i = 0; i < 2; i++)
          await global.gc?.({ type: "major", execution: "async", flavor: "last-resort" });
        answer({ kind: "memory", rssKb: process.memoryUsage.rss() / 1024 });
        break;
    }
  });
  process.once("SIGTERM", () => process.exit());
  answer({ kind: "ready" });
}

/** Sends batches at their times; what is late follows at once, so that the rate is kept. */
function paced(
  { count, size, everyMs }: Extract<Order, { kind: "publish" }>,
  publish: (size: number) => void | Promise<void>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const sent: (void | Promise<void>)[] = [];
    const step = () => {
      while (sent.length < count && performance.now() >= start + sent.length * everyMs)
        sent.push(publish(size));
      if (sent.length < count) setTimeout(step, everyMs);
      else Promise.all(sent).then(() => resolve(), reject);
    };
    step();
  });
}
