import { setImmediate as turn } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import {
  type Event,
  EventKind,
  EventSchema,
  EventType,
  type WatchResponse,
} from "../../gen/haplane/v1/events_pb.js";
import { createEventHub } from "../../src/events/create-event-hub.ts";
import type { EventHub, WatchOptions } from "../../src/events/event-hub.ts";
import type { EventLog } from "../../src/events/event-log.ts";
import { PresentState } from "../../src/events/present-state.ts";
import type { WatchLimits } from "../../src/events/watch-limits.ts";
import type { WatchMessage } from "../../src/events/watch-message.ts";
import { DomainError } from "../../src/lib/errors.ts";
import { ManualClock } from "../../src/lib/manual-clock.ts";
import type { LogKind, LogPlace } from "./event-logs.ts";
import { waitFor } from "./wait.ts";

/** An event that a test can tell from all others by its author. */
export function testEvent(id: string, kind: EventKind, resource: string, revision = 0): Event {
  return create(EventSchema, {
    kind,
    type: EventType.UPDATED,
    resource,
    author: id,
    revision: BigInt(revision),
    payload: { case: "process", value: { reason: "x".repeat(20) } },
  });
}

/** What a watch is asked for, but for what only one attempt needs. */
export type Wish = Pick<WatchOptions, "kinds" | "resourcePrefixes" | "includeCurrent">;

/** Everything, from now on. */
export const EVERYTHING: Wish = { kinds: [], resourcePrefixes: [], includeCurrent: false };

/** Bounds so small that a few events reach them. */
export const TIGHT_LIMITS: WatchLimits = {
  watchers: 100,
  tail: { bytes: 2_000, entries: 6 },
  messages: { joinBytes: 300, maxBytes: 600 },
  lag: 1_000_000,
  bookmarkMs: 30_000,
};

/** A hub over a log, that can be stopped and started again, and what is there to be seen from outside. */
export class WatchWorld {
  readonly clock: ManualClock;
  /** Durable entries in the order in which they were published: the events of each. */
  readonly entries: (readonly Event[])[] = [];
  /** The present state: the last event of each resource. */
  readonly state = new Map<string, Event>();
  readonly #place: LogPlace;
  readonly #limits: WatchLimits;
  #running: { log: EventLog; close(): Promise<void>; hub: EventHub; present: PresentState } | undefined;
  #count = 0;
  #handedOver = 0;
  #publishing: Promise<void> = Promise.resolve();

  private constructor(clock: ManualClock, place: LogPlace, limits: WatchLimits) {
    this.clock = clock;
    this.#place = place;
    this.#limits = limits;
  }

  /** Starts one over a new log. */
  static async start(kind: LogKind, limits: WatchLimits = TIGHT_LIMITS): Promise<WatchWorld> {
    const clock = new ManualClock();
    const world = new WatchWorld(clock, await kind.create(clock), limits);
    await world.#open();
    return world;
  }

  get hub(): EventHub {
    return this.#now.hub;
  }

  get log(): EventLog {
    return this.#now.log;
  }

  get #now() {
    if (this.#running === undefined) throw new Error("the world is stopped");
    return this.#running;
  }

  /** Publishes events of these resources as one entry. */
  publish(resources: readonly string[], kind = EventKind.SERVER): Promise<void> {
    const revision = this.entries.length + 1;
    const events = resources.map((resource) => {
      this.#count += 1;
      return testEvent(`d${this.#count}`, kind, resource, revision);
    });
    this.entries.push(events);
    for (const event of events) this.state.set(event.resource, event);
    const published = this.hub.publish(events);
    this.#publishing = published;
    return published;
  }

  /** Resolves when everything that was published is durable and handed over. */
  async settled(): Promise<void> {
    await this.#publishing;
  }

  /** Publishes an ephemeral event and returns its id. */
  publishEphemeral(resource: string, kind = EventKind.SERVER): string {
    this.#count += 1;
    const id = `e${this.#count}`;
    this.hub.publishEphemeral([testEvent(id, kind, resource)]);
    return id;
  }

  /** How many of the entries are durable and handed over: a watch that begins now gets the others. */
  get handedOver(): number {
    return this.#handedOver;
  }

  /** Begins a watch. */
  watch(wish: Wish, cursor: string, signal: AbortSignal): AsyncIterableIterator<WatchMessage> {
    return this.hub.watch({ ...wish, cursor, signal, current: () => this.#now.present.events() });
  }

  /** Stops hub and log, and starts them again over what the log kept. */
  async restart(): Promise<void> {
    await this.#close();
    await this.#open();
  }

  /** Stops it for good. */
  async stop(): Promise<void> {
    await this.#close();
    await this.#place.remove();
  }

  async #open(): Promise<void> {
    const { log, close } = await this.#place.open();
    log.subscribe((entries) => {
      this.#handedOver += entries.length;
    });
    const present = new PresentState(log);
    await present.begin(async () => [...this.state.values()]);
    const hub = createEventHub({ log, clock: this.clock, limits: this.#limits });
    this.#running = { log, close, hub, present };
  }

  async #close(): Promise<void> {
    const { hub, close } = this.#now;
    this.#running = undefined;
    hub.close();
    await close();
  }
}

/** One watch after another, each going on from the last cursor of the one before, and everything that they brought. */
export class Reader {
  readonly wish: Wish;
  /** The messages of each watch. */
  readonly streams: WatchResponse[][] = [];
  /** How the last watch ended, if it ended by itself. */
  error: DomainError | undefined;
  /** Number of entries that had been handed over when the first watch began, which is the first one that brought a cursor. */
  begunAfter = 0;
  readonly #world: WatchWorld;
  #cursor = "";
  #abort = new AbortController();
  #watch: AsyncIterableIterator<WatchMessage>;
  #parked: Promise<void> | undefined;

  /** With a cursor it goes on from there; else it begins now. */
  constructor(world: WatchWorld, wish: Wish, cursor = "") {
    this.#world = world;
    this.wish = wish;
    this.#cursor = cursor;
    this.#watch = this.#begin();
  }

  /** The last cursor received. */
  get cursor(): string {
    return this.#cursor;
  }

  /** Reads up to `count` messages; stops when none comes for a few turns of the event loop, leaving the read parked. */
  async take(count: number): Promise<void> {
    for (let n = 0; n < count && this.error === undefined; n += 1) {
      this.#parked ??= this.#read();
      let arrived = false;
      void this.#parked.then(() => {
        arrived = true;
      });
      for (let turns = 0; turns < 8 && !arrived; turns += 1) await turn();
      if (!arrived) return;
    }
  }

  /** Ends the watch, be it parked or not, and goes on from the last cursor with a new one. */
  async resume(): Promise<void> {
    this.#abort.abort();
    await this.#parked;
    this.#parked = undefined;
    this.error = undefined;
    this.#watch = this.#begin();
  }

  /** Reads until everything that is in the log has come, resuming where the watch has ended. */
  async readToEnd(): Promise<void> {
    const end = await cursorNow(this.#world);
    await waitFor("the reader to get to the end", async () => {
      if (this.error !== undefined) await this.resume();
      await this.take(1_000);
      // What the filter holds back is passed over by a bookmark.
      if (this.#cursor !== end) this.#world.clock.advance(30_000);
      return this.#cursor === end;
    });
  }

  /** Frees it. */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.#parked;
  }

  #begin(): AsyncIterableIterator<WatchMessage> {
    this.#abort = new AbortController();
    if (this.#cursor === "") {
      this.streams.length = 0;
      this.begunAfter = this.#world.handedOver;
    }
    this.streams.push([]);
    const wish = this.#cursor === "" ? this.wish : { ...this.wish, includeCurrent: false };
    return this.#world.watch(wish, this.#cursor, this.#abort.signal);
  }

  async #read(): Promise<void> {
    try {
      const { value, done } = await this.#watch.next();
      if (!done) {
        const { message } = value;
        this.streams.at(-1)?.push(message);
        if (message.cursor !== "") this.#cursor = message.cursor;
      }
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      this.error = error;
    } finally {
      this.#parked = undefined;
    }
  }
}

/** The cursor of the log's present end. */
export async function cursorNow(world: WatchWorld): Promise<string> {
  const abort = new AbortController();
  const { value } = await world.watch(EVERYTHING, "", abort.signal).next();
  abort.abort();
  return value.message.cursor;
}
