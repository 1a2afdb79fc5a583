import { toBinary } from "@bufbuild/protobuf";
import { type Event, type EventKind, EventSchema } from "../../gen/haplane/v1/events_pb.js";
import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import { decodeCursor, foreignCursor } from "./cursor.ts";
import type { EventHub, HubCounters, WatchOptions } from "./event-hub.ts";
import type { EventLog, LogEntry, LoggedEvent, LogPosition } from "./event-log.ts";
import { createFilter, type Filter } from "./filter.ts";
import { gather } from "./gather.ts";
import { type RecentEntry, Tail } from "./tail.ts";
import { WatchIterator } from "./watch-iterator.ts";
import { DEFAULT_WATCH_LIMITS, type WatchLimits } from "./watch-limits.ts";
import { MessageEncoder, type WatchMessage } from "./watch-message.ts";
import { cursorExpired, type Sink, Watcher, type WatcherContext } from "./watcher.ts";

/** What `createEventHub` takes. */
export interface EventHubOptions {
  readonly log: EventLog;
  readonly clock: Clock;
  /** Default `DEFAULT_WATCH_LIMITS`. */
  readonly limits?: WatchLimits;
}

/** Makes a hub over a log. It follows the log until it is closed. */
export function createEventHub(options: EventHubOptions): EventHub {
  return new Hub(options);
}

/** Watchers with the same filter; what is made for one is sent to all that are synced. */
interface Group {
  readonly filter: Filter;
  readonly synced: Set<Watcher>;
  watchers: number;
}

/** Somebody who is told whether events of a kind are wanted. */
interface Demand {
  readonly kind: EventKind;
  readonly listener: (isWanted: boolean) => void;
  isWanted: boolean;
}

class Hub implements EventHub {
  readonly #log: EventLog;
  readonly #clock: Clock;
  readonly #limits: WatchLimits;
  readonly #tail: Tail;
  readonly #encoder: MessageEncoder;
  readonly #context: WatcherContext;
  readonly #unsubscribe: () => void;
  readonly #groups = new Map<string, Group>();
  readonly #watchers = new Set<Watcher>();
  readonly #demands = new Set<Demand>();
  /** Those that are not synced. */
  readonly #behind = new Set<Watcher>();
  #newest: LogPosition;
  #cancelSweep: (() => void) | undefined;
  #closed = false;
  #published = 0;
  #publishedEphemeral = 0;
  #messages = 0;
  #endedSlow = 0;

  constructor({ log, clock, limits = DEFAULT_WATCH_LIMITS }: EventHubOptions) {
    this.#log = log;
    this.#clock = clock;
    this.#limits = limits;
    this.#newest = log.newest;
    this.#tail = new Tail(limits.tail, log.newest);
    this.#encoder = new MessageEncoder(log.epoch);
    this.#context = {
      log,
      tail: this.#tail,
      encoder: this.#encoder,
      limits: limits.messages,
      newest: () => this.#newest,
      monotonic: () => clock.monotonic(),
      onSynced: (watcher, synced) => this.#moved(watcher, synced),
      onMessage: () => {
        this.#messages += 1;
      },
      onEnd: (watcher, slow) => this.#ended(watcher, slow),
    };
    this.#unsubscribe = log.subscribe((entries) => this.#appended(entries));
  }

  get counters(): HubCounters {
    return {
      watchers: this.#watchers.size,
      lagging: this.#behind.size,
      tailBytes: this.#tail.bytes,
      published: this.#published,
      publishedEphemeral: this.#publishedEphemeral,
      messages: this.#messages,
      endedSlow: this.#endedSlow,
    };
  }

  publish(events: readonly Event[]): Promise<void> {
    return this.#log.append(events);
  }

  publishEphemeral(events: readonly Event[]): void {
    this.#publishedEphemeral += events.length;
    // They are not kept, so without watchers they need not even be encoded.
    if (this.#watchers.size === 0 || events.length === 0) return;
    this.#handOver([
      {
        durable: false,
        through: this.#newest,
        events: events.map((event) => encode({ ...event, ephemeral: true })),
      },
    ]);
  }

  watch(options: WatchOptions): AsyncIterableIterator<WatchMessage> {
    const iterator = new WatchIterator(options.signal);
    if (options.signal.aborted) return iterator;
    try {
      iterator.begin(this.#open(options, iterator));
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      iterator.end(error);
    }
    return iterator;
  }

  subscribeDemand(kind: EventKind, listener: (isWanted: boolean) => void): () => void {
    const demand: Demand = { kind, listener, isWanted: false };
    this.#demands.add(demand);
    this.#tellDemand(demand);
    return () => void this.#demands.delete(demand);
  }

  close(): void {
    this.#closed = true;
    this.#unsubscribe();
    for (const watcher of [...this.#watchers]) watcher.end(shuttingDown());
  }

  #open(options: WatchOptions, sink: Sink): Watcher {
    if (this.#closed) throw shuttingDown();
    const filter = createFilter(options.kinds, options.resourcePrefixes);
    const start = this.#start(options);
    if (this.#watchers.size >= this.#limits.watchers) {
      throw new DomainError("LIMIT_EXCEEDED", `There are ${this.#watchers.size} open watches already.`, {
        metadata: { limit: "max_watchers", maximum: String(this.#limits.watchers) },
        retryAfterMs: 10_000,
      });
    }
    const first = options.includeCurrent ? this.#present(filter, options.current()) : [];
    first.push(this.#encoder.encode("bookmark", [], start));
    const watcher = new Watcher(this.#context, filter, sink, start, first, this.#limits.lag);
    const known = this.#groups.get(filter.key);
    const group = known ?? { filter, synced: new Set(), watchers: 0 };
    this.#groups.set(filter.key, group);
    group.watchers += 1;
    this.#watchers.add(watcher);
    this.#behind.add(watcher);
    this.#cancelSweep ??= this.#scheduleSweep();
    if (known === undefined) this.#tellDemands();
    return watcher;
  }

  #start({ cursor, includeCurrent }: WatchOptions): LogPosition {
    if (cursor === "") return this.#newest;
    if (includeCurrent) {
      throw new DomainError(
        "FIELD_INVALID",
        "A watch goes on from a cursor or begins with the present state.",
        {
          violations: [{ field: "include_current", description: "must not be set together with cursor" }],
        },
      );
    }
    const start = decodeCursor(this.#log.epoch, cursor);
    if (start.seq > this.#newest.seq) throw foreignCursor();
    if (start.seq + 1 < this.#log.oldest) throw cursorExpired(this.#log.epoch, this.#log.oldest);
    return start;
  }

  /** The present state, in messages that are not to be resumed from: the bookmark after them is. */
  #present(filter: Filter, events: Iterable<LoggedEvent>): WatchMessage[] {
    const messages: WatchMessage[] = [];
    let part: Uint8Array[] = [];
    let size = 0;
    for (const event of events) {
      if (!filter.matches(event)) continue;
      const { bytes } = event;
      if (part.length > 0 && size + bytes.length > this.#limits.messages.joinBytes) {
        messages.push(this.#encoder.encode("partial", part, this.#newest));
        part = [];
        size = 0;
      }
      part.push(bytes);
      size += bytes.length;
    }
    if (part.length > 0) messages.push(this.#encoder.encode("partial", part, this.#newest));
    return messages;
  }

  #appended(entries: readonly LogEntry[]): void {
    for (const entry of entries) this.#published += entry.events.length;
    this.#handOver(
      entries.map(({ seq, revision, events }) => ({ durable: true, through: { seq, revision }, events })),
    );
    for (const watcher of this.#behind) watcher.checkLag(this.#newest);
  }

  /** Hands entries to every watcher that has room, before it returns; the others find them in the tail, or in the log. Without watchers nothing is held. */
  #handOver(handed: readonly Omit<RecentEntry, "index" | "size">[]): void {
    if (this.#watchers.size === 0) {
      this.#newest = handed.at(-1)?.through ?? this.#newest;
      this.#tail.clear(this.#newest);
      return;
    }
    const entries: RecentEntry[] = [];
    for (const each of handed) {
      const { entry, evicted } = this.#tail.push(each);
      entries.push(entry);
      for (const gone of evicted) for (const watcher of this.#behind) watcher.evicted(gone);
      this.#newest = entry.through;
    }
    for (const { filter, synced } of this.#groups.values()) {
      if (synced.size === 0) continue;
      const messages = this.#messagesFor(filter, entries);
      if (messages.length === 0) continue;
      for (const watcher of synced) watcher.offer(messages, this.#newest);
    }
    if (entries.some((entry) => !entry.durable)) for (const watcher of this.#behind) watcher.offerEphemeral();
  }

  #messagesFor(filter: Filter, entries: readonly RecentEntry[]): WatchMessage[] {
    const messages: WatchMessage[] = [];
    for (let rest = entries; rest.length > 0; ) {
      const gathered = gather(rest, filter, this.#encoder, this.#limits.messages);
      messages.push(...gathered.messages);
      rest = rest.slice(gathered.taken);
    }
    return messages;
  }

  #moved(watcher: Watcher, synced: boolean): void {
    const group = this.#groups.get(watcher.filter.key);
    if (synced) {
      this.#behind.delete(watcher);
      group?.synced.add(watcher);
    } else {
      group?.synced.delete(watcher);
      this.#behind.add(watcher);
    }
  }

  #ended(watcher: Watcher, slow: boolean): void {
    const group = this.#groups.get(watcher.filter.key);
    this.#watchers.delete(watcher);
    this.#behind.delete(watcher);
    if (group !== undefined) {
      group.watchers -= 1;
      if (group.watchers === 0) {
        this.#groups.delete(watcher.filter.key);
        this.#tellDemands();
      }
    }
    if (slow) this.#endedSlow += 1;
    if (this.#watchers.size === 0) {
      this.#tail.clear(this.#newest);
      this.#cancelSweep?.();
      this.#cancelSweep = undefined;
    }
  }

  #tellDemands(): void {
    for (const demand of this.#demands) this.#tellDemand(demand);
  }

  #tellDemand(demand: Demand): void {
    const isWanted = [...this.#groups.values()].some(({ filter }) => filter.wants(demand.kind));
    if (isWanted === demand.isWanted) return;
    demand.isWanted = isWanted;
    demand.listener(isWanted);
  }

  /** Looks for idle watches so often that none waits longer than the limit for its bookmark. */
  #scheduleSweep(): () => void {
    const { bookmarkMs } = this.#limits;
    const everyMs = bookmarkMs / 6;
    return this.#clock.after(everyMs, () => {
      const idleSince = this.#clock.monotonic() - (bookmarkMs - everyMs);
      for (const watcher of [...this.#watchers]) watcher.bookmark(idleSince);
      this.#cancelSweep = this.#watchers.size > 0 ? this.#scheduleSweep() : undefined;
    });
  }
}

function encode(event: Event): LoggedEvent {
  return { kind: event.kind, resource: event.resource, bytes: toBinary(EventSchema, event) };
}

function shuttingDown(): DomainError {
  return new DomainError("SHUTTING_DOWN", "haplane is stopping. Resume from the last cursor received.", {
    retryAfterMs: 1_000,
  });
}
