/** What is known of the servers of one service. */
interface ServiceRecord {
  /** The names that the registry listed last. */
  present: ReadonlySet<string>;
  /** Names that it listed before and no more, and that stay until their loss is confirmed: name → when that is due, in milliseconds. */
  readonly held: Map<string, number>;
  /** Names that the registry has not listed since it came into doubt. Those that are missing stay, and no time ends that. */
  readonly unproven: Set<string>;
  /** The registry was away since its last answer: the one that comes back may have started afresh. */
  isShaken: boolean;
}

/** A loss that is held, and when it may be confirmed. */
export interface HeldLoss {
  readonly service: string;
  readonly dueMs: number;
}

/** Which losses are not believed at once. */
export interface LossLimits {
  /** How long a loss is held before it may be confirmed, in milliseconds. */
  readonly holdMs: number;
  /** A loss is suspicious when more than this share is gone at once, 1 to 100. */
  readonly percent: number;
}

const NONE: ReadonlySet<string> = new Set();

/**
 * Decides which losses to believe, per service and server name.
 *
 * - An ordinary deregistration is believed at once.
 * - The loss of a service's last server, or of more than the set share of its servers in one answer, is *held*: the servers stay until the loss has been confirmed.
 * - Where the registry seems to have lost its data (it is in doubt, or more than that share of all services lost all their servers together), servers are *unproven*: those
 *   that it does not list stay, however long that lasts, until it lists them again. A server that was listed again is as good as any other.
 *
 * Knows names and times only; asks nobody and sets no timer.
 */
export class Steady {
  readonly #services = new Map<string, ServiceRecord>();
  readonly #limits: LossLimits;
  #doubt = "";

  constructor(limits: LossLimits) {
    this.#limits = limits;
  }

  /** Begins with a service and the servers that it has already, before the registry has listed any. */
  know(service: string, names: ReadonlySet<string>): void {
    this.#services.set(service, {
      present: names,
      held: new Map(),
      unproven: new Set(),
      isShaken: true,
    });
  }

  /** Ends with a service. */
  forget(service: string): void {
    this.#services.delete(service);
  }

  /**
   * The registry lists these servers of a known service now. `replaced` are names whose address another of its servers has taken over, so that nothing is lost
   * with them.
   */
  observe(service: string, present: ReadonlySet<string>, replaced: ReadonlySet<string>, nowMs: number): void {
    const record = this.#known(service);
    const before = record.present;
    const wasShaken = record.isShaken;
    record.present = present;
    record.isShaken = false;
    for (const names of [present, replaced]) {
      for (const name of names) {
        record.held.delete(name);
        record.unproven.delete(name);
      }
    }
    const lost = [...before].filter(
      (name) => !present.has(name) && !replaced.has(name) && !record.unproven.has(name),
    );
    if (!this.#isSuspicious(lost.length, before.size, present.size)) return;
    for (const name of lost) record.held.set(name, nowMs + this.#limits.holdMs);
    if (this.#isMassLoss(wasShaken))
      this.doubt(`more than ${this.#limits.percent} % of all services lost their servers at once`);
  }

  /** The registry may have lost its data, for one service or for all: what it does not list from now on is not believed to be gone. */
  doubt(reason: string, service?: string): void {
    this.#doubt = reason;
    for (const [name, record] of this.#services) {
      if (service !== undefined && name !== service) continue;
      for (const names of [record.present, record.held.keys()]) {
        for (const server of names) record.unproven.add(server);
      }
      record.held.clear();
    }
  }

  /** The registry could not be asked. */
  shake(): void {
    for (const record of this.#services.values()) record.isShaken = true;
  }

  /** The losses of a service that are due by now have been confirmed. */
  confirm(service: string, nowMs: number): void {
    const { held } = this.#known(service);
    for (const [name, dueMs] of held) if (dueMs <= nowMs) held.delete(name);
  }

  /** The losses of a service that are due by now could not be confirmed: they are due later. */
  postpone(service: string, nowMs: number, untilMs: number): void {
    const { held } = this.#known(service);
    for (const [name, dueMs] of held) if (dueMs <= nowMs) held.set(name, untilMs);
  }

  /** What the registry does not list of a service is believed to be gone, whatever was held against it. */
  accept(service: string): void {
    const { held, unproven } = this.#known(service);
    held.clear();
    unproven.clear();
  }

  /** The names of a service that the registry does not list and that stay nevertheless. */
  kept(service: string): ReadonlySet<string> {
    const record = this.#known(service);
    if (record.held.size + record.unproven.size === 0) return NONE;
    const kept = new Set(record.held.keys());
    for (const name of record.unproven) if (!record.present.has(name)) kept.add(name);
    return kept;
  }

  /** The held loss that is due first. */
  get nextDue(): HeldLoss | undefined {
    let next: HeldLoss | undefined;
    for (const [service, { held }] of this.#services) {
      for (const dueMs of held.values()) {
        if (next === undefined || dueMs < next.dueMs) next = { service, dueMs };
      }
    }
    return next;
  }

  /** Why the registry is in doubt: it has still to list servers that it listed before. Empty when it is not. */
  get doubtReason(): string {
    // It is asked for with every answer, and mostly there is no doubt.
    if (this.#doubt !== "" && !this.#hasUnproven()) this.#doubt = "";
    return this.#doubt;
  }

  /** Why some of what the registry says is not believed, in a sentence; undefined when all of it is. */
  get reason(): string | undefined {
    let unproven = 0;
    const held: string[] = [];
    for (const [service, record] of this.#services) {
      unproven += record.unproven.size;
      if (record.held.size > 0) held.push(`${record.held.size} of "${service}"`);
    }
    if (unproven > 0) return `${this.#doubt}; ${unproven} servers stay until they are listed again`;
    if (held.length > 0) return `lost at once: ${held.join(", ")}; they stay until that is confirmed`;
    return undefined;
  }

  #hasUnproven(): boolean {
    for (const { unproven } of this.#services.values()) if (unproven.size > 0) return true;
    return false;
  }

  #known(service: string): ServiceRecord {
    const record = this.#services.get(service);
    if (record === undefined) throw new Error(`the service "${service}" is not known here`);
    return record;
  }

  /** A single service tells nothing about the registry, except when it is what a registry that was away comes back with. */
  #isMassLoss(wasShaken: boolean): boolean {
    let lost = 0;
    let all = 0;
    for (const { present, held, unproven } of this.#services.values()) {
      const isGone = present.size === 0;
      if (isGone && held.size + unproven.size === 0) continue;
      all++;
      if (isGone) lost++;
    }
    return lost * 100 > all * this.#limits.percent && (all > 1 || wasShaken);
  }

  /** The last one is gone, or too many are and no others have come in their stead. */
  #isSuspicious(lost: number, before: number, after: number): boolean {
    if (lost === 0) return false;
    if (after === 0) return true;
    const { percent } = this.#limits;
    return lost * 100 > before * percent && after * 100 < before * (100 - percent);
  }
}
