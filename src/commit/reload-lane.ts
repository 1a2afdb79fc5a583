import type { Logger } from "pino";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { ReloadOutcome } from "../haproxy/reload.ts";
import type { ServerState } from "../haproxy/server-states.ts";
import type { Clock } from "../lib/clock.ts";
import type { FileSystem } from "../lib/durable-file.ts";
import { DomainError } from "../lib/errors.ts";
import type { Operation, ReloadRecord } from "../store/operations.ts";
import type { Store } from "../store/store.ts";
import type { Document } from "../text/document.ts";
import { checkCandidate, refused, traced } from "./candidate.ts";
import { classify, mergeTouched, type TouchedServers } from "./classify.ts";
import type { ConfigFiles } from "./config-files.ts";
import type { Edit } from "./edit.ts";
import type { FileWriter } from "./file-writer.ts";
import type { History } from "./history.ts";
import type { CommitPolicy } from "./policy.ts";
import { reloadEvent } from "./reload-event.ts";
import { eventNow } from "./server-event.ts";
import type { Position, WorkingDocument } from "./working-document.ts";

/** How often a request is begun anew because somebody edits the file in the middle of it. */
const MAX_ATTEMPTS = 5;

/** How often it is looked whether old workers have ended. */
const OLD_WORKERS_LOOK_MS = 200;

/** What the lane is given. */
export interface ReloadLaneOptions {
  readonly haproxy: Haproxy;
  readonly fs: FileSystem;
  readonly store: Store;
  readonly working: WorkingDocument;
  readonly files: ConfigFiles;
  readonly writer: FileWriter;
  readonly history: History;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly policy: CommitPolicy;
  /** Called before the master is told; reads what the old worker runs that a reload would forget, and prepares to give it back. */
  readonly beforeReload: (reload: PlannedReload) => Promise<readonly ServerState[]>;
  /** Called when a new worker runs. */
  readonly afterReload: (reloaded: Reloaded) => Promise<FollowUp | undefined>;
  /** Called when a file turned out to hold somebody else's edit: the group is taken back and tried again on top of it. Resolves when the edit is taken over or held, without waiting for its reload. */
  readonly onForeign: () => Promise<void>;
}

/** A reload that is about to be made. */
export interface PlannedReload {
  /** What the former worker was in step with, but for `untold`. */
  readonly before: Document;
  /** What the new worker is started from. */
  readonly after: Document;
  /** Servers of which the former worker did not take, or was not told, what the document says. */
  readonly untold: TouchedServers;
}

/** A reload that succeeded. */
export interface Reloaded extends PlannedReload {
  /** The former worker's servers, read just before. */
  readonly old: readonly ServerState[];
  /** Edits of the runtime lane since `after` was written: the new worker has not seen them. */
  readonly since: readonly Edit[];
}

/** Why one more reload is needed: the new worker does not take what the document says by now. */
export interface FollowUp {
  readonly reason: string;
  readonly untold: TouchedServers;
}

/** What a reload did. */
export interface ReloadDone {
  /** Its number. */
  readonly reload: number;
  /** The newest revision, which HAProxy now runs. */
  readonly revision: number;
}

/** Where the lane is; see docs/decisions/0001-commit.md. */
export type ReloadStage = "idle" | "gathering" | "waiting" | "checking" | "writing" | "reloading";

interface Request {
  /** Undefined: nothing but a reload is wanted. */
  readonly edit: Edit | undefined;
  readonly reason: string;
  readonly untold: TouchedServers;
  /** How often it was begun anew because somebody edited the file in the middle. */
  attempts: number;
  readonly resolve: (done: ReloadDone) => void;
  readonly reject: (error: unknown) => void;
}

/** Takes everything that the running worker cannot follow by commands: check, write, reload, and take back what HAProxy refuses. One group at a time. */
export class ReloadLane {
  readonly #options: ReloadLaneOptions;
  readonly #stopping = new AbortController();
  #queue: Request[] = [];
  #running: Promise<void> | undefined;
  #stage: ReloadStage = "idle";
  #held: DomainError | undefined;
  #newestReload: number;
  #lastReloadEnd = Number.NEGATIVE_INFINITY;

  constructor(options: ReloadLaneOptions) {
    this.#options = options;
    this.#newestReload = options.store.newestReload;
  }

  get stage(): ReloadStage {
    return this.#stage;
  }

  /**
   * Makes an edit and reloads, together with what others want meanwhile; resolves when HAProxy runs it. Rejects with `CONFIGURATION_REFUSED`, with what
   * `edit.apply` throws, with `HAPROXY_UNAVAILABLE`, `FILE_HELD`, `STORE_UNAVAILABLE`, `SHUTTING_DOWN`; everything is then as before.
   */
  submit(edit: Edit | undefined, reason: string, untold: TouchedServers = new Map()): Promise<ReloadDone> {
    if (this.#stopping.signal.aborted) return Promise.reject(shuttingDown());
    return new Promise((resolve, reject) => {
      this.#queue.push({ edit, reason, untold, attempts: 0, resolve, reject });
      this.#running ??= this.#drain();
    });
  }

  /** Refuses everything with this error until it is called with undefined. */
  hold(error: DomainError | undefined): void {
    this.#held = error;
  }

  /** Lets the group under way finish, and refuses what waits. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const { reject } of this.#queue.splice(0)) reject(shuttingDown());
    await this.#running;
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      this.#stage = "gathering";
      await this.#sleep(this.#options.policy.reloadDelayMs);
      await this.#untilAllowed();
      const group = this.#queue.splice(0);
      await this.#settleGroup(group);
    }
    this.#stage = "idle";
    this.#running = undefined;
  }

  /** Waits for the pause between reloads, and while too many old workers still run. */
  async #untilAllowed(): Promise<void> {
    const { policy, clock, haproxy, logger } = this.#options;
    const pause = this.#lastReloadEnd + policy.reloadIntervalMs - clock.monotonic();
    if (pause > 0) {
      this.#stage = "waiting";
      await this.#sleep(pause);
    }
    let said = false;
    while (haproxy.state.kind === "running" && haproxy.state.oldWorkerPids.length >= policy.maxOldWorkers) {
      this.#stage = "waiting";
      if (!said)
        logger.warn(
          { workers: haproxy.state.oldWorkerPids },
          "reloads wait until old workers have finished their connections",
        );
      said = true;
      await this.#sleep(OLD_WORKERS_LOOK_MS);
      if (this.#stopping.signal.aborted) return;
    }
  }

  /** Resolves after a while, or at once when the lane stops. */
  #sleep(ms: number): Promise<void> {
    const { signal } = this.#stopping;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        cancel();
        signal.removeEventListener("abort", end);
        resolve();
      };
      const cancel = this.#options.clock.after(ms, end);
      signal.addEventListener("abort", end);
    });
  }

  async #settleGroup(group: readonly Request[]): Promise<void> {
    try {
      await this.#runGroup(group);
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }

  async #runGroup(group: readonly Request[]): Promise<void> {
    if (this.#held !== undefined) throw this.#held;
    const { haproxy, working } = this.#options;
    if (haproxy.state.kind !== "running") {
      throw new DomainError("HAPROXY_UNAVAILABLE", "HAProxy does not run, so it cannot be reloaded", {
        retryAfterMs: 1_000,
      });
    }
    this.#stage = "checking";
    const base = working.current;
    const accepted = await this.#checked(base, group);
    if (accepted.length === 0) return;
    this.#stage = "writing";
    const outcome = await this.#options.writer.exclusive(() => this.#writeAndReload(accepted, base));
    switch (outcome.kind) {
      case "none":
        return;
      case "done":
        for (const { resolve } of outcome.group) resolve(outcome.done);
        if (outcome.followUp !== undefined) this.#followUp(outcome.followUp);
        return;
      case "again":
        await this.#beginAnew(accepted, outcome.foreign);
        return;
      case "failed":
        if (outcome.group.length === 1 || !outcome.splittable) {
          for (const { reject } of outcome.group) reject(outcome.error);
          return;
        }
        for (const half of halves(outcome.group)) {
          await this.#untilAllowed();
          await this.#settleGroup(half);
        }
    }
  }

  async #beginAnew(group: readonly Request[], foreign: boolean): Promise<void> {
    if (foreign) await this.#options.onForeign();
    for (const request of group) {
      request.attempts += 1;
      if (request.attempts < MAX_ATTEMPTS) this.#queue.push(request);
      else request.reject(busyFile());
    }
  }

  /** Nobody waits for it; what it cannot do either is said in the log, and compared again with the next change. */
  #followUp({ reason, untold }: FollowUp): void {
    this.submit(undefined, reason, untold).catch((error: unknown) => {
      if (!this.#stopping.signal.aborted)
        this.#options.logger.error(
          { err: error, reason },
          "the new worker does not have all that the document says",
        );
    });
  }

  /** The requests of a group that HAProxy takes together; the others are rejected, each with its own error. */
  async #checked(base: Document, group: readonly Request[]): Promise<readonly Request[]> {
    const applicable: Request[] = [];
    let candidate = base;
    for (const request of group) {
      try {
        candidate = request.edit?.apply(candidate) ?? candidate;
        applicable.push(request);
      } catch (error) {
        request.reject(error);
      }
    }
    if (applicable.length === 0) return [];
    try {
      await checkCandidate(this.#options, candidate, this.#stopping.signal);
      return applicable;
    } catch (error) {
      const refusedByHaproxy = error instanceof DomainError && error.reason === "CONFIGURATION_REFUSED";
      if (error instanceof DomainError && error.reason === "NOT_SUPPORTED") return applicable;
      if (!refusedByHaproxy || applicable.length === 1) {
        for (const { reject } of applicable) reject(error);
        return [];
      }
      const [first, second] = halves(applicable);
      const good = await this.#checked(base, first);
      const rest = await this.#checked(applyAll(base, good), second);
      return [...good, ...rest];
    }
  }

  /**
   * Inside the writer's turn. `base` is what the check was made on: when more than servers changed since, the check is made again.
   */
  async #writeAndReload(checked: readonly Request[], base: Document): Promise<GroupOutcome> {
    const { store, working, files, writer, history, clock, haproxy } = this.#options;
    if (await files.isForeign()) return { kind: "again", foreign: true };
    const written = writer.written;
    const before = working.current;
    if (before !== base && classify(base, before, haproxy.capabilities?.version).via === "reload")
      return { kind: "again", foreign: false };
    const pin = working.pin();
    try {
      const { group, edits } = this.#make(checked);
      if (group.length === 0) return { kind: "none" };
      const after = working.current;
      const end = working.position;
      const next = after.parts.map(({ path }, part) => ({ path, bytes: after.print(part) }));
      const reload = this.#newRecord(group);
      const intent = history.intent(files.believed, next, "put-back");
      const takeBack = () => working.rebase(before, pin.position, (edit) => !edits.has(edit));
      const failed = async (error: unknown, output: string, splittable: boolean): Promise<GroupOutcome> => {
        const lost = takeBack();
        if (lost.length > 0)
          this.#options.logger.error(
            { edits: lost.map(({ message }) => message) },
            "runtime changes were lost with a refused group",
          );
        await this.#restore(this.#ended({ ...reload, state: "failed", output }, intent.id));
        return { kind: "failed", group, error, splittable };
      };
      try {
        await store.write([
          { kind: "begin-intent", intent },
          { kind: "put-reload", reload },
          this.#reloadEvents(reload),
        ]);
        if ((await files.write(after)).kind === "foreign") {
          takeBack();
          await this.#store(
            this.#ended({ ...reload, state: "failed", output: "the file was edited meanwhile" }, intent.id),
          );
          return { kind: "again", foreign: true };
        }
      } catch (error) {
        return failed(error, "the file could not be written", false);
      }

      this.#stage = "reloading";
      const planned: PlannedReload = {
        before: working.running,
        after,
        untold: mergeTouched(group.map(({ untold }) => untold)),
      };
      const old = await this.#options.beforeReload(planned);
      const outcome = await haproxy
        .reload()
        .catch((error: unknown) => ({ kind: "unreachable" as const, error }));
      this.#lastReloadEnd = clock.monotonic();
      if (outcome.kind !== "succeeded") {
        const error = reloadError(outcome, after);
        return failed(error, error.message, outcome.kind === "refused");
      }
      working.startedFrom(after, end);
      const followUp = await this.#options.afterReload({ ...planned, old, since: working.since(end) });
      const edited = working.since(written).slice(0, end - written);
      await this.#record({ ...reload, state: "succeeded" }, intent.id, edited, end);
      return { kind: "done", group, done: { reload: reload.number, revision: history.newest }, followUp };
    } finally {
      pin.release();
    }
  }

  /** Makes the edits of the requests, on the document of this moment; those that do not fit any more are rejected, each with its own error. */
  #make(requests: readonly Request[]): {
    readonly group: readonly Request[];
    readonly edits: ReadonlySet<Edit>;
  } {
    const group: Request[] = [];
    const edits = new Set<Edit>();
    for (const request of requests) {
      try {
        if (request.edit !== undefined) {
          this.#options.working.apply(request.edit);
          edits.add(request.edit);
        }
        group.push(request);
      } catch (error) {
        request.reject(error);
      }
    }
    return { group, edits };
  }

  #newRecord(group: readonly Request[]): ReloadRecord {
    const { history, clock } = this.#options;
    this.#newestReload += 1;
    return {
      number: this.#newestReload,
      state: "running",
      reasons: [...new Set(group.map(({ reason }) => reason))],
      output: "",
      revision: history.newest + 1,
      startTime: clock.now(),
    };
  }

  /** HAProxy runs it, so it is done; a history that cannot be written now is caught up by the writer. */
  async #record(reload: ReloadRecord, intent: string, edits: readonly Edit[], end: Position): Promise<void> {
    const { history, files, writer, clock, logger } = this.#options;
    const ended = { ...reload, endTime: clock.now() };
    if (edits.length === 0) return this.#store(this.#ended(ended, intent));
    const operations: Operation[] = [
      { kind: "put-reload", reload: ended },
      { kind: "finish-intent", id: intent },
    ];
    try {
      await history.append({
        parts: files.believed,
        lane: "reload",
        edits,
        events: [reloadEvent(ended)],
        with: () => operations,
      });
      writer.settle(end);
    } catch (error) {
      logger.error({ err: error }, "HAProxy runs a change that is not in the history yet; it is tried again");
      writer.owe([...operations, this.#reloadEvents(ended)]);
    }
  }

  /** Puts the files back after a failure, and ends its record then; where that fails, the writer goes on trying. */
  async #restore(ended: readonly Operation[]): Promise<void> {
    const { files, working, writer, logger } = this.#options;
    try {
      const outcome = await files.write(working.current);
      if (outcome.kind === "foreign") void this.#options.onForeign();
    } catch (error) {
      logger.error({ err: error }, "the configuration file could not be put back; it is tried again");
      writer.restore();
      writer.owe(ended);
      return;
    }
    await this.#store(ended);
    writer.touch();
  }

  /** Stores what has to be stored some time, now or with the writer's next try. */
  async #store(operations: readonly Operation[]): Promise<void> {
    await this.#options.store.write(operations).catch(() => this.#options.writer.owe(operations));
  }

  #ended(reload: ReloadRecord, intent: string): Operation[] {
    const ended = { endTime: this.#options.clock.now(), ...reload };
    return [
      { kind: "put-reload", reload: ended },
      { kind: "finish-intent", id: intent },
      this.#reloadEvents(ended),
    ];
  }

  #reloadEvents(reload: ReloadRecord): Operation {
    return {
      kind: "append-events",
      events: [eventNow(reloadEvent(reload), this.#options.clock.now(), { author: "haplane" })],
    };
  }
}

type GroupOutcome =
  /** No request was left. */
  | { readonly kind: "none" }
  | {
      readonly kind: "done";
      readonly group: readonly Request[];
      readonly done: ReloadDone;
      readonly followUp: FollowUp | undefined;
    }
  /** The document or a file changed since the check. */
  | { readonly kind: "again"; readonly foreign: boolean }
  | {
      readonly kind: "failed";
      readonly group: readonly Request[];
      readonly error: unknown;
      readonly splittable: boolean;
    };

type FailedReload =
  | Exclude<ReloadOutcome, { kind: "succeeded" }>
  | { readonly kind: "unreachable"; readonly error: unknown };

function reloadError(outcome: FailedReload, document: Document): DomainError {
  switch (outcome.kind) {
    case "refused":
      return refused(traced(outcome.messages, "alert", document), outcome.log.trim());
    case "master_lost":
      return new DomainError(
        "HAPROXY_UNAVAILABLE",
        `HAProxy died of the reload; the configuration was taken back: ${outcome.log.trim()}`,
        {
          alerts: traced(outcome.messages, "alert", document),
          retryAfterMs: 1_000,
        },
      );
    case "timed_out":
      return new DomainError(
        "TIMED_OUT",
        `HAProxy did not say how the reload ended; the configuration was taken back: ${outcome.log.trim()}`,
      );
    case "unreachable":
      return outcome.error instanceof DomainError
        ? outcome.error
        : new DomainError("HAPROXY_UNAVAILABLE", "HAProxy could not be told to reload", {
            cause: outcome.error,
            retryAfterMs: 1_000,
          });
  }
}

function applyAll(base: Document, requests: readonly Request[]): Document {
  return requests.reduce((document, { edit }) => edit?.apply(document) ?? document, base);
}

function halves<T>(items: readonly T[]): [readonly T[], readonly T[]] {
  const middle = items.length >> 1;
  return [items.slice(0, middle), items.slice(middle)];
}

function busyFile(): DomainError {
  return new DomainError("FILE_HELD", "the configuration file is being edited by somebody else; try again", {
    retryAfterMs: 1_000,
  });
}

function shuttingDown(): DomainError {
  return new DomainError("SHUTTING_DOWN", "haplane is stopping", { retryAfterMs: 1_000 });
}
