import { DomainError } from "../lib/errors.ts";
import { encodeCursor } from "./cursor.ts";
import type { EventLog, LogPage, LogPosition } from "./event-log.ts";
import type { Filter } from "./filter.ts";
import { gather, type MessageLimits } from "./gather.ts";
import type { RecentEntry, Tail } from "./tail.ts";
import type { MessageEncoder, WatchMessage } from "./watch-message.ts";

/** Where a watcher's messages go. Neither method runs code of others before it returns. */
export interface Sink {
  /** Takes one message. False: the reader is behind; nothing more comes until `resume`. */
  send(message: WatchMessage): boolean;
  /** The watch is over. */
  end(error: DomainError): void;
}

/** What all watchers of a hub share. */
export interface WatcherContext {
  readonly log: EventLog;
  readonly tail: Tail;
  readonly encoder: MessageEncoder;
  readonly limits: MessageLimits;
  /** Where the log is after what was handed over. */
  readonly newest: () => LogPosition;
  readonly monotonic: () => number;
  /** Told when a watcher gets everything at once from now on (true), or does not (false). */
  readonly onSynced: (watcher: Watcher, synced: boolean) => void;
  readonly onMessage: () => void;
  readonly onEnd: (watcher: Watcher, slow: boolean) => void;
}

/** Where a watcher is. `position`: durable events up to there have been handed over; `next`: ephemeral entries of the tail before it have. */
type State =
  /** Lacks something that the tail has: its reader is behind. */
  | { readonly kind: "lagging"; readonly position: LogPosition; readonly next: number }
  /** Lacks something that only the log has. `reading`: a page is on its way; `fresh`: none has come yet. */
  | {
      readonly kind: "catching-up";
      readonly position: LogPosition;
      readonly next: number;
      readonly reading: boolean;
      readonly fresh: boolean;
    }
  /** Lacks nothing: what happens is handed to it at once. */
  | { readonly kind: "synced" }
  | { readonly kind: "ended" };

// How many entries of the tail are looked at for one message.
const TAIL_STEP = 1_000;
const PAGE_EVENTS = 1_000;

/** One watch: what it wants, where it is, and where its messages go. */
export class Watcher {
  readonly filter: Filter;
  readonly #context: WatcherContext;
  readonly #sink: Sink;
  /** How many events it may be behind: what it lacks at the beginning is not held against it. */
  readonly #maxLag: number;
  #state: State;
  #blocked = false;
  /** Messages that are made and not taken: the first ones, or the parts of one entry. */
  #pending: WatchMessage[];
  #lastSent: number;

  /** `start` is where the watch begins, `first` what it begins with; nothing is sent before `resume`. */
  constructor(
    context: WatcherContext,
    filter: Filter,
    sink: Sink,
    start: LogPosition,
    first: readonly WatchMessage[],
    maxLag: number,
  ) {
    this.filter = filter;
    this.#context = context;
    this.#sink = sink;
    this.#maxLag = context.newest().seq - start.seq + maxLag;
    this.#pending = [...first];
    this.#lastSent = context.monotonic();
    this.#state = {
      kind: "catching-up",
      position: start,
      next: context.tail.end,
      reading: false,
      fresh: true,
    };
  }

  /** The reader has room again. */
  resume(): void {
    this.#blocked = false;
    this.#pump();
  }

  /** A synced watcher's share of what has just been handed over; `through` is where the log is after it. */
  offer(messages: readonly WatchMessage[], through: LogPosition): void {
    for (const [i, message] of messages.entries()) {
      if (this.#send(message)) continue;
      this.#pending.push(...messages.slice(i + 1));
      this.#become({ kind: "lagging", position: through, next: this.#context.tail.end });
      return;
    }
  }

  /** An ephemeral entry does not wait for the log: a watcher that is catching up, and has room, gets it at once. */
  offerEphemeral(): void {
    if (this.#state.kind === "catching-up" && !this.#blocked) this.#sendEphemeral();
  }

  /** The tail has lost an entry: what the log has too can be read there, the rest is lost to a reader that did not take it. */
  evicted(entry: RecentEntry): void {
    const state = this.#state;
    if (state.kind !== "lagging" && state.kind !== "catching-up") return;
    if (!entry.durable) {
      const lost = entry.index >= state.next && entry.events.some((event) => this.filter.matches(event));
      if (lost) this.#end(tooSlow("recent events"), true);
    } else if (state.kind === "lagging" && entry.through.seq > state.position.seq) {
      const { position, next } = state;
      this.#become({ kind: "catching-up", position, next, reading: false, fresh: false });
    }
  }

  /** Ends a watcher that is too far behind. */
  checkLag(newest: LogPosition): void {
    const state = this.#state;
    if (state.kind !== "lagging" && state.kind !== "catching-up") return;
    if (newest.seq - state.position.seq > this.#maxLag) this.#end(tooSlow("events behind"), true);
  }

  /** Sends a bookmark if nothing has been sent since the given moment, and there is room. */
  bookmark(idleSince: number): void {
    if (this.#blocked || this.#lastSent > idleSince || this.#state.kind === "ended") return;
    const position = this.#state.kind === "synced" ? this.#context.newest() : this.#state.position;
    const taken = this.#send(this.#context.encoder.encode("bookmark", [], position));
    if (!taken && this.#state.kind === "synced") {
      this.#become({ kind: "lagging", position, next: this.#context.tail.end });
    }
  }

  /** Ends the watch because of something else than itself. */
  end(error: DomainError): void {
    this.#end(error, false);
  }

  /** The reader has gone. */
  cancel(): void {
    if (this.#state.kind === "ended") return;
    this.#become({ kind: "ended" });
    this.#pending = [];
    this.#context.onEnd(this, false);
  }

  #end(error: DomainError, slow: boolean): void {
    if (this.#state.kind === "ended") return;
    this.#become({ kind: "ended" });
    this.#pending = [];
    this.#context.onEnd(this, slow);
    this.#sink.end(error);
  }

  /** Hands over what it lacks, as long as there is room. */
  #pump(): void {
    for (;;) {
      this.#sendPending();
      if (this.#blocked) return;
      const state = this.#state;
      switch (state.kind) {
        case "synced":
        case "ended":
          return;
        case "lagging":
          this.#takeFromTail(state.position, state.next);
          break;
        case "catching-up":
          if (this.#context.tail.covers(state.position.seq)) {
            this.#become({ kind: "lagging", position: state.position, next: state.next });
            break;
          }
          this.#sendEphemeral();
          if (!this.#blocked) this.#readLog();
          return;
      }
    }
  }

  #takeFromTail(position: LogPosition, next: number): void {
    const { tail, encoder, limits } = this.#context;
    // An ephemeral entry that came in while the log was read is behind the position by now: a cursor must not go back.
    const entries = tail
      .after(position.seq, next, TAIL_STEP)
      .map((entry) => (entry.through.seq < position.seq ? { ...entry, through: position } : entry));
    if (entries.length === 0) {
      this.#become({ kind: "synced" });
      return;
    }
    const { messages, taken } = gather(entries, this.filter, encoder, limits);
    this.#pending.push(...messages);
    const last = entries[taken - 1];
    if (last === undefined) return;
    this.#become({ kind: "lagging", position: last.through, next: Math.max(next, last.index + 1) });
  }

  #sendEphemeral(): void {
    const state = this.#state;
    if (state.kind !== "catching-up") return;
    const { tail, encoder, limits, newest } = this.#context;
    const entries = tail
      .after(newest().seq, state.next, Number.POSITIVE_INFINITY)
      .map(({ events }) => ({ events, through: state.position }));
    this.#become({ ...state, next: tail.end });
    for (let rest = entries; rest.length > 0; ) {
      const { messages, taken } = gather(rest, this.filter, encoder, limits);
      this.#pending.push(...messages);
      rest = rest.slice(taken);
    }
    this.#sendPending();
  }

  #sendPending(): void {
    while (!this.#blocked) {
      const message = this.#pending.shift();
      if (message === undefined) return;
      this.#send(message);
    }
  }

  #readLog(): void {
    const state = this.#state;
    if (state.kind !== "catching-up" || state.reading) return;
    this.#become({ ...state, reading: true });
    const { log, limits } = this.#context;
    log.read(state.position.seq, { events: PAGE_EVENTS, bytes: limits.joinBytes }).then(
      (page) => this.#takePage(page),
      (error) => this.#end(toDomainError(error), false),
    );
  }

  #takePage(page: LogPage): void {
    const state = this.#state;
    if (state.kind !== "catching-up") return;
    if (page.oldest > state.position.seq + 1) {
      const { log } = this.#context;
      this.#end(state.fresh ? cursorExpired(log.epoch, page.oldest) : tooSlow("kept events"), !state.fresh);
      return;
    }
    const { encoder, limits, newest } = this.#context;
    // The log may already have what the hub has yet to hand over, and will.
    const known = newest().seq;
    const entries = page.entries
      .filter((entry) => entry.seq <= known)
      .map(({ events, seq, revision }) => ({ events, through: { seq, revision } }));
    const { messages, taken } = gather(entries, this.filter, encoder, limits);
    this.#pending.push(...messages);
    const position = entries[taken - 1]?.through ?? state.position;
    this.#become({ ...state, position, reading: false, fresh: false });
    this.#pump();
  }

  #send(message: WatchMessage): boolean {
    this.#lastSent = this.#context.monotonic();
    this.#context.onMessage();
    this.#blocked = !this.#sink.send(message);
    return !this.#blocked;
  }

  #become(state: State): void {
    const was = this.#state.kind;
    this.#state = state;
    if (was === "synced" && state.kind !== "synced") this.#context.onSynced(this, false);
    if (was !== "synced" && state.kind === "synced") this.#context.onSynced(this, true);
  }
}

/** What is thrown for a cursor that names what is not kept any more. */
export function cursorExpired(epoch: string, oldest: number): DomainError {
  return new DomainError("CURSOR_EXPIRED", "The events after the cursor are not kept any more.", {
    metadata: { oldestCursor: encodeCursor(epoch, { seq: oldest - 1, revision: 0 }) },
  });
}

function tooSlow(limit: string): DomainError {
  return new DomainError(
    "LIMIT_EXCEEDED",
    "The reader of the watch is too slow. Resume from the last cursor received.",
    {
      metadata: { limit },
      retryAfterMs: 1_000,
    },
  );
}

function toDomainError(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  return new DomainError("STORE_UNAVAILABLE", "The event log cannot be read.", { cause: error });
}
