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
import { mergeTouched, type TouchedServers } from "./classify.ts";
import type { ConfigFiles } from "./config-files.ts";
import type { Edit } from "./edit.ts";
import type { FileWriter } from "./file-writer.ts";
import type { History } from "./history.ts";
import type { CommitPolicy } from "./policy.ts";
import { reloadEvent } from "./reload-event.ts";
import { eventNow } from "./server-event.ts";
import type { WorkingDocument } from "./working-document.ts";

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
  readonly afterReload: (reloaded: Reloaded) => Promise<void>;
  /** Called when a file turned out to hold somebody else's edit: the group is taken back and tried again on top of it. */
  readonly onForeign: () => void;
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
      this.#queue.push({ edit, reason, untold, resolve, reject });
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
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(ms, resolve);
      this.#stopping.signal.addEventListener(
        "abort",
        () => {
          cancel();
          resolve();
        },
        { once: true },
      );
      if (this.#stopping.signal.aborted) resolve();
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
    const accepted = await this.#checked(working.current, group);
    if (accepted.length === 0) return;
    this.#stage = "writing";
    const outcome = await this.#options.writer.exclusive(() => this.#writeAndReload(accepted));
    switch (outcome.kind) {
      case "done":
        for (const { resolve } of accepted) resolve(outcome.done);
        return;
      case "foreign":
        this.#queue.unshift(...accepted);
        this.#options.onForeign();
        return;
      case "failed":
        if (accepted.length === 1 || !outcome.splittable) throw outcome.error;
        for (const half of halves(accepted)) await this.#settleGroup(half);
    }
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

  async #writeAndReload(group: readonly Request[]): Promise<GroupOutcome> {
    const { store, working, files, writer, history, clock, haproxy } = this.#options;
    const written = writer.written;
    const before = working.current;
    const start = working.position;
    const edits = new Set<Edit>();
    for (const { edit } of group) {
      if (edit === undefined) continue;
      working.apply(edit);
      edits.add(edit);
    }
    const after = working.current;
    const end = working.position;
    const takeBack = () => working.rebase(before, start, (edit) => !edits.has(edit));

    this.#newestReload += 1;
    const reload: ReloadRecord = {
      number: this.#newestReload,
      state: "running",
      reasons: [...new Set(group.map(({ reason }) => reason))],
      output: "",
      revision: history.newest + 1,
      startTime: clock.now(),
    };
    const intent = `reload-${reload.number}`;
    try {
      await store.write([
        { kind: "begin-intent", intent: history.intent(intent, files.believed, "put-back") },
        { kind: "put-reload", reload },
        this.#reloadEvents(reload),
      ]);
      const outcome = await files.write(after);
      if (outcome.kind === "foreign") {
        takeBack();
        await store.write(
          this.#ended({ ...reload, state: "failed", output: "the file was edited meanwhile" }, intent),
        );
        return { kind: "foreign" };
      }
    } catch (error) {
      takeBack();
      await this.#restore(working.current);
      await store
        .write(this.#ended({ ...reload, state: "failed", output: "the file could not be written" }, intent))
        .catch(() => {});
      return { kind: "failed", error, splittable: false };
    }

    this.#stage = "reloading";
    const ranBefore = working.running;
    const planned: PlannedReload = {
      before: ranBefore,
      after,
      untold: mergeTouched(group.map(({ untold }) => untold)),
    };
    const old = await this.#options.beforeReload(planned);
    const outcome = await haproxy
      .reload()
      .catch((error: unknown) => ({ kind: "unreachable" as const, error }));
    this.#lastReloadEnd = clock.monotonic();
    if (outcome.kind === "succeeded") {
      working.startedFrom(after, end);
      await this.#options.afterReload({ ...planned, old, since: working.since(end) });
      const ended: ReloadRecord = { ...reload, state: "succeeded", endTime: clock.now() };
      const own = working.since(written).slice(0, end - written);
      if (own.length > 0) {
        await history.append({
          parts: files.believed,
          lane: "reload",
          edits: own,
          events: [reloadEvent(ended)],
          with: () => [
            { kind: "put-reload", reload: ended },
            { kind: "finish-intent", id: intent },
          ],
        });
        writer.settle(end);
      } else {
        await store.write(this.#ended(ended, intent));
      }
      return { kind: "done", done: { reload: reload.number, revision: history.newest } };
    }

    const lost = takeBack();
    if (lost.length > 0)
      this.#options.logger.error(
        { edits: lost.map(({ message }) => message) },
        "runtime changes were lost with a refused group",
      );
    await this.#restore(working.current);
    const error = reloadError(outcome, after);
    await store.write(
      this.#ended({ ...reload, state: "failed", output: error.message, endTime: clock.now() }, intent),
    );
    return { kind: "failed", error, splittable: outcome.kind === "refused" };
  }

  /** Puts the files back after a failure; where that fails too, the writer goes on trying. */
  async #restore(document: Document): Promise<void> {
    const { files, writer, logger } = this.#options;
    try {
      const outcome = await files.write(document);
      if (outcome.kind === "foreign") this.#options.onForeign();
    } catch (error) {
      logger.error({ err: error }, "the configuration file could not be put back; it is tried again");
    }
    writer.touch();
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
  | { readonly kind: "done"; readonly done: ReloadDone }
  | { readonly kind: "foreign" }
  | { readonly kind: "failed"; readonly error: unknown; readonly splittable: boolean };

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

function shuttingDown(): DomainError {
  return new DomainError("SHUTTING_DOWN", "haplane is stopping", { retryAfterMs: 1_000 });
}
