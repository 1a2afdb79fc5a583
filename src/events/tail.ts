import type { LoggedEvent, LogPosition } from "./event-log.ts";

/** Events that were handed over together, kept for a while for watchers whose reader is behind. */
export interface RecentEntry {
  /** Entries are counted in the order in which they were handed over. */
  readonly index: number;
  /** The log has it too. */
  readonly durable: boolean;
  /** Where the log was after it. An ephemeral entry does not move it. */
  readonly through: LogPosition;
  readonly events: readonly LoggedEvent[];
  /** Bytes of its events. */
  readonly size: number;
}

/** How much the tail holds. */
export interface TailLimits {
  readonly bytes: number;
  readonly entries: number;
}

/**
 * The most recent entries, durable and ephemeral, in the order in which they were handed over. All watchers whose reader is behind share it as their queue, each with a
 * place in it, so that what they cost together is bounded however many they are.
 */
export class Tail {
  readonly #limits: TailLimits;
  #entries: RecentEntry[] = [];
  // Index of the first entry in #entries, and how many at its beginning are gone already.
  #first = 0;
  #gone = 0;
  #bytes = 0;
  #base: LogPosition;

  /** `base` is where the log is at the beginning. */
  constructor(limits: TailLimits, base: LogPosition) {
    this.#limits = limits;
    this.#base = base;
  }

  /** Bytes of the events that are held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Index that the next entry will have. */
  get end(): number {
    return this.#first + this.#entries.length;
  }

  /** Adds an entry and returns those that have to go for it. An entry goes however large it is: its watchers have it by then. */
  push(entry: Omit<RecentEntry, "index" | "size">): { entry: RecentEntry; evicted: readonly RecentEntry[] } {
    const size = entry.events.reduce((sum, event) => sum + event.bytes.length, 0);
    const added = { ...entry, index: this.end, size };
    this.#entries.push(added);
    this.#bytes += size;
    const evicted: RecentEntry[] = [];
    while (this.#entries.length - this.#gone > this.#limits.entries || this.#bytes > this.#limits.bytes) {
      const oldest = this.#entries[this.#gone];
      if (oldest === undefined) break;
      evicted.push(oldest);
      this.#gone += 1;
      this.#bytes -= oldest.size;
      if (oldest.durable) this.#base = oldest.through;
    }
    // Moving the rest forward for each one would cost as much as the tail is long.
    if (this.#gone > this.#entries.length / 2) {
      this.#entries = this.#entries.slice(this.#gone);
      this.#first += this.#gone;
      this.#gone = 0;
    }
    return { entry: added, evicted };
  }

  /** Lets go of all entries: nobody needs them. The log is at `base`. */
  clear(base: LogPosition): void {
    this.#first = this.end;
    this.#entries = [];
    this.#gone = 0;
    this.#bytes = 0;
    this.#base = base;
  }

  /** Whether every durable entry after this number is here. */
  covers(seq: number): boolean {
    return seq >= this.#base.seq;
  }

  /** The entries that a watcher lacks: durable ones after the number `seq`, ephemeral ones from `index` on; at most `limit`. */
  after(seq: number, index: number, limit: number): RecentEntry[] {
    const wanted: RecentEntry[] = [];
    for (let i = Math.min(this.#firstAfter(seq), this.#place(index)); i < this.#entries.length; i += 1) {
      const entry = this.#entries[i];
      if (entry === undefined || wanted.length === limit) break;
      if (entry.durable ? entry.through.seq > seq : entry.index >= index) wanted.push(entry);
    }
    return wanted;
  }

  #place(index: number): number {
    return Math.max(this.#gone, index - this.#first);
  }

  /** Place of the first entry after which the log was beyond `seq`. */
  #firstAfter(seq: number): number {
    let low = this.#gone;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle]?.through.seq ?? 0) > seq) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
