import type { Logger } from "pino";
import { type Backoff, createBackoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { type Capabilities, capabilitiesOf } from "./capabilities.ts";
import type { ManagedProcess } from "./managed-process.ts";
import { isRefused, MasterClient } from "./master-client.ts";
import type { ProcessState, Running } from "./process-state.ts";
import { judge, type Verdict, type WorkerAnswer } from "./sighting.ts";
import { connectWorker } from "./worker-connection.ts";
import { WorkerQueues } from "./worker-queues.ts";

/** How often a HAProxy that runs is asked who runs. Losing a connection to it tells sooner. */
const STEADY_MS = 1_000;

/** The same, when all has been as it is for a while: to look is half of what a haplane costs that has nothing to do. */
const CALM = { afterMs: 10_000, everyMs: 4_000 };

/** While something changes: least and longest pause between looks, and which part of the time that it has taken so far is one. Whoever waits for a reload waits longer than it takes by no more than that. */
const UNSETTLED = { leastMs: 5, mostMs: 100, part: 1 / 8 };

/** How long nothing may answer before HAProxy counts as down: when nobody listens, and when somebody may. */
const GRACE_MS = { refused: 300, silent: 3_000 };

/** Least pause between looks, however many reasons there are to look. */
const LEAST_PAUSE_MS = 5;

/** How long a master may have no worker that accepts: one that has lost it ends by itself, if nothing hinders it. */
const NO_WORKER_MS = 2_000;

/** How long a new worker may keep from the stats socket before the master's word is taken for it. */
const PROOF_MS = 3_000;

/** Pauses between attempts while it is down. */
const RETRY_MS = { managed: { firstMs: 100, maxMs: 30_000 }, attached: { firstMs: 100, maxMs: 1_000 } };

/** A HAProxy that ran this long is started again without delay. */
const STABLE_MS = 30_000;

/** Longest question who answers the stats socket. */
const ASK_WORKER_MS = 1_000;

/** The clock's timers do not keep the process alive; to supervise does, as to listen does. */
const KEEP_ALIVE_MS = 60_000;

/** What a supervisor is made of. */
export interface SupervisorOptions {
  readonly masterSocket: string;
  /** Undefined: as the running worker says. */
  readonly statsSocket: string | undefined;
  /** The process to keep running; undefined when somebody else does. */
  readonly createManaged: ((onExit: () => void) => ManagedProcess) | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Knows at any time whether HAProxy runs, and which of its workers accepts: it looks every few seconds, and at once when a connection ends
 * or a process exits. Points the command queues at that worker, and starts a managed HAProxy again when it is gone.
 */
export class Supervisor {
  readonly queues: WorkerQueues;
  readonly master: MasterClient;
  readonly managed: ManagedProcess | undefined;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #givenStatsSocket: string | undefined;
  readonly #retryDelay: Backoff;
  readonly #stateListeners = new Set<(state: ProcessState, previous: ProcessState) => void>();
  readonly #lookListeners = new Set<() => void>();
  #state: ProcessState;
  #capabilities: Capabilities | undefined;
  #statsSocket: string | undefined;
  /** The kind of the last verdict, and since when every look gave it, in the clock's monotonic time. */
  #seen: { readonly kind: Verdict["kind"] | undefined; readonly since: number } = {
    kind: undefined,
    since: 0,
  };
  #startedAt = 0;
  /** When the state was another one last, in the clock's monotonic time. */
  #changedAt = 0;
  /** When one that is down is to be started again, in the clock's monotonic time. */
  #retryAt = 0;
  #loop: Promise<void> | undefined;
  #keepAlive: NodeJS.Timeout | undefined;
  #stopping = false;
  /** Whom to tell when HAProxy runs or is down. */
  #starters: (() => void)[] = [];
  #poked = false;
  #wake: () => void = () => {};

  constructor({ masterSocket, statsSocket, createManaged, clock, logger }: SupervisorOptions) {
    this.#clock = clock;
    this.#logger = logger;
    this.#givenStatsSocket = statsSocket;
    this.#statsSocket = statsSocket;
    this.master = new MasterClient(masterSocket, () => this.poke());
    this.managed = createManaged?.(() => this.poke());
    this.queues = new WorkerQueues({
      statsSocket: () => this.#statsSocket,
      clock,
      onDoubt: () => this.poke(),
    });
    this.#retryDelay = createBackoff(createManaged === undefined ? RETRY_MS.attached : RETRY_MS.managed);
    this.#state = { kind: "stopped", since: new Date(clock.now()) };
  }

  get state(): ProcessState {
    return this.#state;
  }

  /** Of the HAProxy that was last seen. */
  get capabilities(): Capabilities | undefined {
    return this.#capabilities;
  }

  /** Calls `listener` after every change of state; returns the way to stop. */
  subscribe(listener: (state: ProcessState, previous: ProcessState) => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** Calls `listener` after every look, when what follows from it is in the state; returns the way to stop. */
  onLook(listener: () => void): () => void {
    this.#lookListeners.add(listener);
    return () => this.#lookListeners.delete(listener);
  }

  /** Begins to look, or ends the pause before the next attempt; resolves when HAProxy runs or is down. */
  start(): Promise<void> {
    const settled = new Promise<void>((resolve) => this.#starters.push(resolve));
    if (this.#loop === undefined) {
      this.#setState({ kind: "starting", since: this.#date() });
      this.#stopping = false;
      this.#keepAlive = setInterval(() => {}, KEEP_ALIVE_MS);
      this.#loop = this.#run();
    } else {
      this.#retryDelay.reset();
      this.#retryAt = this.#clock.monotonic();
      if (this.#state.kind === "down") this.#setState({ ...this.#state, retryAt: this.#date() });
      this.poke();
    }
    return settled;
  }

  /** Looks no more, and frees every connection. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.poke();
    await this.#loop;
    this.#loop = undefined;
    clearInterval(this.#keepAlive);
    this.queues.close("haplane does not supervise it any more");
    this.master.close();
    this.#setState({ kind: "stopped", since: this.#date() });
    this.#tellStarters();
  }

  /** Looks again now. */
  poke(): void {
    this.#poked = true;
    this.#wake();
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      this.#poked = false;
      const pause = await this.#lookAndAct().catch((error: Error) =>
        this.#fall(error.message, this.#retryDelay.next()),
      );
      if (this.#state.kind === "running" || this.#state.kind === "down") this.#tellStarters();
      if (!this.#stopping) await this.#pause(pause);
    }
  }

  async #lookAndAct(): Promise<number> {
    const before = this.#state.kind === "running" ? this.#state : undefined;
    const verdict = await judge(before, await this.master.showProc(), (pid) => this.#askWorker(pid));
    if (this.#stopping) return 0;
    if (verdict.kind !== this.#seen.kind) this.#seen = { kind: verdict.kind, since: this.#clock.monotonic() };
    const pause = await this.#act(verdict);
    for (const listener of this.#lookListeners) listener();
    return pause;
  }

  /** Acts on a verdict; returns the milliseconds until the next look. */
  async #act(verdict: Verdict): Promise<number> {
    const seenForMs = this.#clock.monotonic() - this.#seen.since;
    switch (verdict.kind) {
      case "running":
        return this.#settle(verdict.now);
      case "changing":
        if (verdict.unproved !== undefined && seenForMs > PROOF_MS) return this.#settle(verdict.unproved);
        return unsettledPause(seenForMs);
      case "no_worker":
        if (seenForMs < NO_WORKER_MS) return unsettledPause(seenForMs);
        // It neither serves nor ends: a managed one is ended, to be started again.
        await this.managed?.end(0);
        return this.#fall(verdict.reason, this.#retryDelay.next());
      case "gone":
        if (this.managed !== undefined && !this.managed.isAlive)
          return this.#revive(this.managed, verdict.reason);
        if (this.#state.kind === "starting" && this.managed !== undefined) return unsettledPause(seenForMs);
        if (this.#state.kind !== "down" && seenForMs < this.#graceMs(verdict.refused))
          return unsettledPause(seenForMs);
        return this.#fall(verdict.reason, this.managed === undefined ? this.#retryDelay.next() : STEADY_MS);
    }
  }

  /** The managed process is dead: starts it, when it is time. */
  #revive(managed: ManagedProcess, reason: string): number {
    const { kind } = this.#state;
    if (kind === "down") {
      const left = this.#retryAt - this.#clock.monotonic();
      if (left > 0) return left;
    } else if (kind === "running" || managed.lastExit !== undefined) {
      return this.#fall(managed.lastExit ?? reason, this.#retryDelay.next());
    }
    if (kind !== "starting") this.#setState({ kind: "starting", since: this.#date() });
    managed.start();
    const { inUse, paths } = managed.standIns;
    if (inUse) this.#logger.warn({ pid: managed.pid, paths }, "HAProxy started from what it last accepted");
    else this.#logger.info({ pid: managed.pid }, "HAProxy started");
    this.#seen = { kind: undefined, since: this.#clock.monotonic() };
    return unsettledPause(0);
  }

  #graceMs(refused: boolean): number {
    return refused && this.managed === undefined ? GRACE_MS.refused : GRACE_MS.silent;
  }

  #settle(now: Omit<Running, "kind" | "since">): number {
    const mismatch = this.managed?.adopt(now.masterPid);
    if (mismatch !== undefined) return this.#fall(mismatch, STEADY_MS);
    const before = this.#state;
    if (before.kind !== "running") this.#startedAt = this.#clock.monotonic();
    if (this.managed === undefined || this.#clock.monotonic() - this.#startedAt > STABLE_MS)
      this.#retryDelay.reset();
    this.#capabilities = capabilitiesOf(now.version);
    if (before.kind !== "running" || before.workerPid !== now.workerPid) {
      this.queues.aim({ kind: "worker", pid: now.workerPid });
    }
    if (before.kind !== "running" || !isSame(before, now)) {
      this.#setState({
        kind: "running",
        since: before.kind === "running" ? before.since : this.#date(),
        ...now,
      });
    }
    return this.#isCalm(now) ? CALM.everyMs : STEADY_MS;
  }

  /** Whether nothing is expected to change by itself; an old worker ends when its connections do. */
  #isCalm({ oldWorkerPids }: Pick<Running, "oldWorkerPids">): boolean {
    return oldWorkerPids.length === 0 && this.#clock.monotonic() - this.#changedAt >= CALM.afterMs;
  }

  /** HAProxy is down: says so, and that it is tried again after `pause` milliseconds. */
  #fall(reason: string, pause: number): number {
    this.#retryAt = this.#clock.monotonic() + pause;
    const retryAt = new Date(this.#clock.now() + pause);
    this.queues.aim({ kind: "none", reason, retryAfterMs: pause });
    if (this.#state.kind !== "down" || this.#state.reason !== reason) {
      this.#logger.error({ reason, retryInMs: pause }, "HAProxy is down");
    }
    const since = this.#state.kind === "down" ? this.#state.since : this.#date();
    this.#setState({ kind: "down", since, reason, retryAt });
    return pause;
  }

  async #askWorker(expectedPid: number | undefined): Promise<WorkerAnswer> {
    try {
      if (expectedPid !== undefined && this.#givenStatsSocket === undefined) {
        this.#statsSocket = await this.master.adminSocket(expectedPid);
      }
      if (this.#statsSocket === undefined)
        return { kind: "none", refused: true, reason: "no stats socket is known" };
      const worker = await connectWorker(this.#statsSocket, AbortSignal.timeout(ASK_WORKER_MS));
      worker.prompt.close();
      return { kind: "worker", pid: worker.pid };
    } catch (error) {
      return { kind: "none", refused: isRefused(error), reason: (error as Error).message };
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(this.#poked ? LEAST_PAUSE_MS : ms, resolve);
      this.#wake = () => {
        cancel();
        this.#clock.after(LEAST_PAUSE_MS, resolve);
      };
    });
  }

  #tellStarters(): void {
    const starters = this.#starters;
    this.#starters = [];
    for (const tell of starters) tell();
  }

  #setState(state: ProcessState): void {
    const previous = this.#state;
    this.#state = state;
    this.#changedAt = this.#clock.monotonic();
    for (const listener of this.#stateListeners) listener(state, previous);
  }

  #date(): Date {
    return new Date(this.#clock.now());
  }
}

/** Until the next look at something that has been changing for a while. */
function unsettledPause(forMs: number): number {
  const { leastMs, mostMs, part } = UNSETTLED;
  return Math.min(Math.max(leastMs, forMs * part), mostMs);
}

function isSame(before: Running, now: Omit<Running, "kind" | "since">): boolean {
  return (
    before.workerPid === now.workerPid &&
    before.masterPid === now.masterPid &&
    before.version.text === now.version.text &&
    before.reloads === now.reloads &&
    before.failedReloads === now.failedReloads &&
    before.oldWorkerPids.join() === now.oldWorkerPids.join()
  );
}
