import { type MessagePort, type TransferListItem, Worker } from "node:worker_threads";
import { DomainError, type ErrorFacts, type ErrorReason } from "../lib/errors.ts";

/** What a thread can be asked for: functions by name, whose arguments and results can be cloned. */
// biome-ignore lint/suspicious/noExplicitAny: the arguments are each function's own.
export type Calls = Readonly<Record<string, (...args: any[]) => unknown>>;

interface Request {
  readonly id: number;
  readonly name: string;
  readonly args: readonly unknown[];
}

type Reply =
  | { readonly id: number; readonly kind: "result"; readonly value: unknown }
  | {
      readonly id: number;
      readonly kind: "refused";
      readonly reason: ErrorReason;
      readonly message: string;
      readonly facts: Omit<ErrorFacts, "cause">;
    }
  | { readonly id: number; readonly kind: "broken"; readonly message: string; readonly stack: string };

/** A thread that answers calls, one after another, from this side. */
export class Thread<C extends Calls> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;
  #over: Error | undefined;
  /** Resolves when the thread is over: with what ended it, or undefined after `terminate`. */
  readonly over: Promise<Error | undefined>;

  /** `module` is the thread's file; it calls `serve`. `data` is its `workerData`. */
  constructor(module: URL, data: unknown) {
    this.#worker = new Worker(module, { workerData: data });
    this.#worker.on("message", (reply: Reply) => this.#settle(reply));
    const { promise, resolve } = Promise.withResolvers<Error | undefined>();
    this.over = promise;
    this.#worker.once("error", (error) => this.#end(error));
    this.#worker.once("exit", (code) => {
      this.#end(new Error(`the thread ended by itself (${code})`));
      resolve(this.#over === TERMINATED ? undefined : this.#over);
    });
  }

  /** Calls a function of the thread. Rejects with what it throws, or with `STORE_UNAVAILABLE` when the thread is over. */
  call<N extends keyof C & string>(
    name: N,
    args: Parameters<C[N]>,
    transfer: readonly TransferListItem[] = [],
  ): Promise<ReturnType<C[N]>> {
    const id = ++this.#lastId;
    const waiter = Promise.withResolvers<unknown>();
    if (this.#over !== undefined) {
      waiter.reject(threadIsOver(this.#over));
    } else {
      this.#waiting.set(id, waiter);
      this.#worker.postMessage({ id, name, args } satisfies Request, transfer);
    }
    return waiter.promise as Promise<ReturnType<C[N]>>;
  }

  /** Ends the thread at once, whatever it is doing. */
  async terminate(): Promise<void> {
    this.#end(TERMINATED);
    await this.#worker.terminate();
  }

  #settle(reply: Reply): void {
    const waiter = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    switch (reply.kind) {
      case "result":
        waiter?.resolve(reply.value);
        break;
      case "refused":
        waiter?.reject(new DomainError(reply.reason, reply.message, reply.facts));
        break;
      case "broken":
        waiter?.reject(Object.assign(new Error(reply.message), { stack: reply.stack }));
        break;
    }
  }

  #end(cause: Error): void {
    this.#over ??= cause;
    for (const waiter of this.#waiting.values()) waiter.reject(threadIsOver(this.#over));
    this.#waiting.clear();
  }
}

/**
 * A thread without state of its own that is started anew when it has died. Calls that it had not answered then are rejected, later ones are served. It is started
 * by its first call.
 */
export class RestartingThread<C extends Calls> {
  readonly #start: () => Thread<C>;
  #thread: Thread<C> | undefined;
  #terminated = false;

  constructor(module: URL, data: unknown) {
    this.#start = () => new Thread<C>(module, data);
  }

  /** As `Thread.call`. */
  call<N extends keyof C & string>(name: N, args: Parameters<C[N]>): Promise<ReturnType<C[N]>> {
    if (this.#terminated) return Promise.reject(threadIsOver(TERMINATED));
    if (this.#thread === undefined) {
      const thread = this.#start();
      this.#thread = thread;
      void thread.over.then(() => {
        if (this.#thread === thread) this.#thread = undefined;
      });
    }
    return this.#thread.call(name, args);
  }

  /** Ends it for good. */
  async terminate(): Promise<void> {
    this.#terminated = true;
    await this.#thread?.terminate();
  }
}

const TERMINATED = new Error("the store is closed");

function threadIsOver(cause: Error): DomainError {
  const sentence = cause === TERMINATED ? "The store is closed." : "The store has failed.";
  return new DomainError("STORE_UNAVAILABLE", sentence, { cause });
}

/** The thread's side: answers each call with one of the functions. Results that are a buffer, or have one in `bytes`, are handed over and not copied. */
export function serve(port: MessagePort, calls: Calls): void {
  port.on("message", ({ id, name, args }: Request) => {
    try {
      const value = calls[name]?.(...args);
      port.postMessage({ id, kind: "result", value } satisfies Reply, buffersOf(value));
    } catch (error) {
      port.postMessage(failure(id, error));
    }
  });
}

function failure(id: number, error: unknown): Reply {
  if (error instanceof DomainError) {
    const { reason, message, metadata, resource, retryAfterMs } = error;
    const facts = {
      metadata,
      ...(resource === undefined ? {} : { resource }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    };
    return { id, kind: "refused", reason, message, facts };
  }
  const { message, stack = "" } = error instanceof Error ? error : new Error(String(error));
  return { id, kind: "broken", message, stack };
}

function buffersOf(value: unknown): ArrayBuffer[] {
  const bytes = value instanceof Uint8Array ? value : (value as { bytes?: unknown } | undefined)?.bytes;
  const whole = bytes instanceof Uint8Array && bytes.byteLength === bytes.buffer.byteLength;
  return whole ? [bytes.buffer as ArrayBuffer] : [];
}
