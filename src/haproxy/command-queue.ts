import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import { Fifo } from "../lib/fifo.ts";
import { AbortListeners } from "./abort-listeners.ts";
import { type Answer, isStopping, readAnswer } from "./answer.ts";
import type { CallOptions } from "./call-options.ts";
import { Connector } from "./connector.ts";
import type { WorkerConnection } from "./worker-connection.ts";

/**
 * Commands sent and not answered on one connection. HAProxy's own speed is reached with a quarter of it; the rest is what HAProxy works on while this process is busy with something else for some
 * milliseconds.
 */
export const WINDOW = 512;

/** While more commands wait than the window has room for, it is filled again when so many are left: a write for each answer would cost more than the commands. */
const LOW_WATER = WINDOW / 2;

/** How long a command may take when its caller does not say. */
const DEFAULT_TIMEOUT_MS = 5_000;

/** A connection whose oldest command is overdue for so long is given up, whoever waits behind it. */
const LOST_AFTER_MS = 3_000;

/** How often deadlines are looked at while something waits. */
const DEADLINE_TICK_MS = 25;

/** Where commands go. */
export type Aim =
  /** To this worker. */
  | { readonly kind: "worker"; readonly pid: number }
  /** Nowhere: commands fail at once. */
  | { readonly kind: "none"; readonly reason: string; readonly retryAfterMs: number };

/** Where commands go at first. */
export const NOT_SUPERVISED: Aim = { kind: "none", reason: "it is not supervised yet", retryAfterMs: 1_000 };

/** What a queue needs from outside. */
export interface CommandQueueOptions {
  readonly connect: (signal: AbortSignal) => Promise<WorkerConnection>;
  readonly clock: Clock;
  /** Called when HAProxy should be looked at: another worker answers than the one aimed at, or a connection has ended. */
  readonly onDoubt: () => void;
}

/** A command's options. */
export interface CommandOptions extends CallOptions {
  /** Asks once more when the connection is lost before the answer: for commands that only read. */
  readonly readOnly?: boolean;
}

/** Who sent a command. Is told at once what became of it, and not by a promise: a thousand of these cost more than the commands. */
export interface Sender {
  answered(answer: Answer): void;
  /** With `HAPROXY_UNAVAILABLE` or `CANCELLED`. */
  failed(error: DomainError): void;
}

interface Entry {
  readonly line: string;
  readonly expiresAt: number;
  readonly readOnly: boolean;
  readonly signal: AbortSignal | undefined;
  readonly sender: Sender;
  /** True once the caller has been told; an answer that comes later is dropped. */
  settled: boolean;
  /** The worker that gave it back undone, since it is stopping. */
  returnedBy: number | undefined;
}

/** A connection and the commands sent over it that have no answer yet. */
interface Link {
  readonly worker: WorkerConnection;
  readonly inFlight: Fifo<Entry>;
}

/**
 * Commands for the stats socket, in order, pipelined over one connection to one worker. The connection is made when it is needed, made
 * again when it is lost, and left for a new one when the worker changes: what was sent to the old worker is
 * answered by the old worker, what comes later goes to the new one.
 *
 * A worker that is stopping refuses to change servers, which may tell of a reload before anything else does: what it refuses so is
 * given to the next worker, in its order, and nothing else is sent meanwhile.
 *
 * A command that is given up (deadline, cancellation) keeps its place among those in flight, so that its late answer is not taken
 * for another's. A connection that is overdue is closed when nobody waits on it any more, and after a while in any case: an answer that was lost would otherwise
 * hold it for as long as somebody keeps asking.
 */
export class CommandQueue {
  readonly #options: CommandQueueOptions;
  readonly #signals = new AbortListeners((signal) =>
    this.#giveUp((entry) => entry.signal === signal, cancelled),
  );
  readonly #connector: Connector;
  #aim: Aim = NOT_SUPERVISED;
  #queue = new Fifo<Entry>();
  /** Every open connection; the ones left for another close when their last answer has come. */
  readonly #links = new Set<Link>();
  #current: Link | undefined;
  /** The link that gives commands back; nothing is sent before it has answered all. */
  #returning: Link | undefined;
  #flushScheduled = false;
  #ticking = false;

  constructor(options: CommandQueueOptions) {
    this.#options = options;
    this.#connector = new Connector({
      ...options,
      accepts: (worker) => this.#accepts(worker),
      onConnected: (worker) => this.#adopt(worker),
    });
  }

  /** Points the queue at a worker, or at none. */
  aim(aim: Aim): void {
    this.#aim = aim;
    this.#connector.stop();
    if (this.#current !== undefined && !this.#accepts(this.#current.worker)) this.#leaveCurrent();
    if (aim.kind === "none") {
      for (const entry of this.#queue.drain()) this.#fail(entry, this.#unavailable(aim.reason, "not_sent"));
    } else {
      this.#scheduleFlush();
    }
  }

  /** Points the queue at none and ends every connection. */
  close(reason: string): void {
    this.aim({ kind: "none", reason, retryAfterMs: 1_000 });
    for (const link of [...this.#links]) link.worker.prompt.close(reason);
  }

  /** Open connections and waiting commands. */
  get load(): { readonly connections: number; readonly queued: number; readonly inFlight: number } {
    let inFlight = 0;
    for (const link of this.#links) inFlight += link.inFlight.length;
    return { connections: this.#links.size, queued: this.#queue.length, inFlight };
  }

  /** Sends one encoded command. Rejects with `HAPROXY_UNAVAILABLE` or `CANCELLED`; a refusal is an answer like any other. */
  run(line: string, options: CommandOptions = {}): Promise<Answer> {
    return new Promise((resolve, reject) => this.send(line, options, { answered: resolve, failed: reject }));
  }

  /** The same for a sender, who is told of either, perhaps before this returns. */
  send(line: string, { signal, timeoutMs, readOnly = false }: CommandOptions, sender: Sender): void {
    const refusal = signal?.aborted ? cancelled() : this.#unaimed();
    if (refusal !== undefined) {
      sender.failed(refusal);
      return;
    }
    const expiresAt = this.#options.clock.monotonic() + (timeoutMs ?? DEFAULT_TIMEOUT_MS);
    if (signal !== undefined) this.#signals.add(signal);
    this.#queue.push({ line, expiresAt, readOnly, signal, sender, settled: false, returnedBy: undefined });
    this.#scheduleFlush();
    this.#tick();
  }

  /** What is asked in one turn of the event loop goes out in one write. */
  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    queueMicrotask(() => {
      this.#flushScheduled = false;
      if (this.#queue.length === 0 || this.#aim.kind === "none" || this.#returning !== undefined) return;
      if (this.#current !== undefined) this.#flush(this.#current);
      else this.#connector.start();
    });
  }

  #flush({ worker, inFlight }: Link): void {
    if (inFlight.length > LOW_WATER && inFlight.length + this.#queue.length > WINDOW) return;
    let lines = "";
    while (inFlight.length < WINDOW) {
      const entry = this.#queue.shift();
      if (entry === undefined) break;
      if (entry.settled) continue;
      inFlight.push(entry);
      lines += entry.line;
    }
    if (lines !== "") worker.prompt.write(lines);
  }

  #adopt(worker: WorkerConnection): void {
    const link: Link = { worker, inFlight: new Fifo() };
    this.#links.add(link);
    this.#current = link;
    worker.prompt.handTo({
      onAnswer: (raw) => this.#answer(link, raw),
      onClose: (error) => this.#lose(link, error),
    });
    this.#scheduleFlush();
  }

  #answer(link: Link, raw: string): void {
    const entry = link.inFlight.shift();
    if (entry === undefined) {
      link.worker.prompt.close("HAProxy sent an answer that nobody asked for");
      return;
    }
    const answer = readAnswer(raw, link.worker.pid);
    if (!entry.settled && isStopping(answer) && entry.returnedBy !== link.worker.pid) {
      this.#takeBack(link, entry);
    } else if (!entry.settled) {
      this.#settle(entry);
      entry.sender.answered(answer);
    }
    if (link === this.#current) this.#scheduleFlush();
    else if (link.inFlight.length === 0) link.worker.prompt.close();
  }

  /** The worker is stopping, or the proxy is disabled in the configuration: the next connection tells. */
  #takeBack(link: Link, entry: Entry): void {
    if (this.#current === link) {
      this.#current = undefined;
      this.#returning = link;
      this.#options.onDoubt();
    }
    entry.returnedBy = link.worker.pid;
    const queue = [...this.#queue];
    const behindReturned = queue.findIndex(({ returnedBy }) => returnedBy === undefined);
    queue.splice(behindReturned === -1 ? queue.length : behindReturned, 0, entry);
    this.#queue = Fifo.of(queue);
  }

  /** A connection ended: what only reads is asked again, the rest fails, since it may have been carried out. */
  #lose(link: Link, error: Error): void {
    this.#links.delete(link);
    if (this.#current === link) {
      this.#current = undefined;
      this.#options.onDoubt();
    }
    if (this.#returning === link) this.#returning = undefined;
    const again: Entry[] = [];
    for (const entry of link.inFlight) {
      if (entry.settled) continue;
      if (entry.readOnly && this.#aim.kind === "worker") again.push(entry);
      else this.#fail(entry, this.#unavailable(error.message, "unknown"));
    }
    this.#queue = Fifo.of([...again, ...this.#queue]);
    this.#scheduleFlush();
  }

  #leaveCurrent(): void {
    const link = this.#current;
    this.#current = undefined;
    // An open connection would keep an old worker from ending.
    if (link?.inFlight.length === 0) link.worker.prompt.close();
  }

  #accepts({ pid, stopping }: WorkerConnection): boolean {
    return this.#aim.kind === "worker" && this.#aim.pid === pid && !stopping;
  }

  /** Looks at deadlines every now and then for as long as something waits. */
  #tick(): void {
    if (this.#ticking) return;
    this.#ticking = true;
    this.#options.clock.after(DEADLINE_TICK_MS, () => {
      this.#ticking = false;
      this.#expire();
      const { queued, inFlight } = this.load;
      if (queued + inFlight > 0) this.#tick();
    });
  }

  #expire(): void {
    const now = this.#options.clock.monotonic();
    this.#giveUp(
      (entry) => entry.expiresAt <= now,
      (outcome) =>
        this.#unavailable(
          outcome === "unknown" ? "no answer in time" : `no connection in time; ${this.#connector.lastError}`,
          outcome,
        ),
    );
    for (const link of [...this.#links]) {
      const [oldest] = link.inFlight;
      if (oldest === undefined || oldest.expiresAt > now) continue;
      const lost = now - oldest.expiresAt >= LOST_AFTER_MS;
      if (lost || [...link.inFlight].every((entry) => entry.settled))
        link.worker.prompt.close("no answer in time");
    }
  }

  #giveUp(which: (entry: Entry) => boolean, why: (outcome: Outcome) => DomainError): void {
    const kept: Entry[] = [];
    for (const entry of this.#queue) {
      if (which(entry)) this.#fail(entry, why("not_sent"));
      else kept.push(entry);
    }
    this.#queue = Fifo.of(kept);
    for (const { inFlight } of this.#links) {
      for (const entry of inFlight) if (!entry.settled && which(entry)) this.#fail(entry, why("unknown"));
    }
  }

  #settle(entry: Entry): void {
    entry.settled = true;
    if (entry.signal !== undefined) this.#signals.remove(entry.signal);
  }

  #fail(entry: Entry, error: DomainError): void {
    this.#settle(entry);
    entry.sender.failed(error);
  }

  /** Why nothing is sent; undefined when something is. */
  #unaimed(): DomainError | undefined {
    return this.#aim.kind === "none" ? this.#unavailable(this.#aim.reason, "not_sent") : undefined;
  }

  #unavailable(why: string, outcome: Outcome): DomainError {
    const retryAfterMs = this.#aim.kind === "none" ? this.#aim.retryAfterMs : 1_000;
    return new DomainError("HAPROXY_UNAVAILABLE", `HAProxy does not answer: ${why}.`, {
      retryAfterMs,
      metadata: { outcome },
    });
  }
}

/** What a failed command has done: nothing, or nobody knows. */
type Outcome = "not_sent" | "unknown";

function cancelled(): DomainError {
  return new DomainError("CANCELLED", "The call was cancelled.");
}
