import type { Clock } from "../lib/clock.ts";
import { type Aim, CommandQueue, NOT_SUPERVISED } from "./command-queue.ts";
import { connectWorker } from "./worker-connection.ts";

/** What the queues need from outside. */
export interface WorkerQueuesOptions {
  /** Path of the worker's stats socket as far as it is known. */
  readonly statsSocket: () => string | undefined;
  readonly clock: Clock;
  /** Called when HAProxy should be looked at: another worker answers, or a connection has ended. */
  readonly onDoubt: () => void;
}

/**
 * The connections to the worker: one for changes and one for reads, so that a long list does not hold a change up, and one of
 * its own for each command whose words are a user's, which may turn its connection into anything.
 */
export class WorkerQueues {
  readonly changes: CommandQueue;
  readonly reads: CommandQueue;
  readonly #newQueue: () => CommandQueue;
  readonly #exclusive = new Set<CommandQueue>();
  #aim: Aim = NOT_SUPERVISED;

  constructor({ statsSocket, clock, onDoubt }: WorkerQueuesOptions) {
    this.#newQueue = () =>
      new CommandQueue({ connect: (signal) => connectWorker(statsSocket(), signal), clock, onDoubt });
    this.changes = this.#newQueue();
    this.reads = this.#newQueue();
  }

  /** Points all queues at a worker, or at none. */
  aim(aim: Aim): void {
    this.#aim = aim;
    for (const queue of this.#all()) queue.aim(aim);
  }

  /** Gives `use` a queue of its own, and closes it afterwards. */
  async exclusively<T>(use: (queue: CommandQueue) => Promise<T>): Promise<T> {
    const queue = this.#newQueue();
    queue.aim(this.#aim);
    this.#exclusive.add(queue);
    try {
      return await use(queue);
    } finally {
      this.#exclusive.delete(queue);
      queue.close("the command has ended");
    }
  }

  /** Points all queues at none and ends their connections. */
  close(reason: string): void {
    this.#aim = { kind: "none", reason, retryAfterMs: 1_000 };
    for (const queue of this.#all()) queue.close(reason);
  }

  #all(): CommandQueue[] {
    return [this.changes, this.reads, ...this.#exclusive];
  }
}
