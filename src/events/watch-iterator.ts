import type { DomainError } from "../lib/errors.ts";
import type { WatchMessage } from "./watch-message.ts";
import type { Sink } from "./watcher.ts";

/** What an iterator needs of the watch that feeds it. */
export interface Feed {
  resume(): void;
  cancel(): void;
}

/**
 * A watch as it is read with `for await`: one message waits here for its reader, the others stay where all readers share them. Unlike a generator it can be ended while
 * a read is parked.
 */
export class WatchIterator implements AsyncIterableIterator<WatchMessage>, Sink {
  readonly #signal: AbortSignal;
  #feed: Feed | undefined;
  #slot: WatchMessage | undefined;
  #parked: PromiseWithResolvers<IteratorResult<WatchMessage>>[] = [];
  #over: { readonly error?: DomainError } | undefined;

  /** The iteration is done as soon as `signal` aborts. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
    if (signal.aborted) this.#over = {};
    else signal.addEventListener("abort", this.#cancel);
  }

  /** Says who feeds it; before that it must not be read. */
  begin(feed: Feed): void {
    this.#feed = feed;
    if (this.#over === undefined) feed.resume();
    else feed.cancel();
  }

  send(message: WatchMessage): boolean {
    const reader = this.#parked.shift();
    if (reader === undefined) {
      this.#slot = message;
      return false;
    }
    reader.resolve({ value: message, done: false });
    return true;
  }

  end(error: DomainError): void {
    this.#finish({ error });
  }

  next(): Promise<IteratorResult<WatchMessage>> {
    const message = this.#slot;
    if (message !== undefined) {
      this.#slot = undefined;
      if (this.#over === undefined) this.#feed?.resume();
      return Promise.resolve({ value: message, done: false });
    }
    if (this.#over !== undefined) {
      const { error } = this.#over;
      this.#over = {};
      return error === undefined ? Promise.resolve(DONE) : Promise.reject(error);
    }
    const reader = Promise.withResolvers<IteratorResult<WatchMessage>>();
    this.#parked.push(reader);
    return reader.promise;
  }

  return(): Promise<IteratorResult<WatchMessage>> {
    this.#cancel();
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  readonly #cancel = (): void => {
    this.#slot = undefined;
    this.#finish({});
    this.#feed?.cancel();
  };

  #finish(over: { readonly error?: DomainError }): void {
    this.#signal.removeEventListener("abort", this.#cancel);
    this.#over = over;
    const [reader, ...others] = this.#parked;
    this.#parked = [];
    if (reader !== undefined && over.error !== undefined) {
      this.#over = {};
      reader.reject(over.error);
    } else {
      reader?.resolve(DONE);
    }
    for (const other of others) other.resolve(DONE);
  }
}

const DONE: IteratorReturnResult<undefined> = { value: undefined, done: true };
