import { DomainError } from "../lib/errors.ts";
import { canReload } from "./can-reload.ts";
import type { TouchedServers } from "./classify.ts";
import type { Edit } from "./edit.ts";
import { busyFile, requireUsable } from "./file-state.ts";
import type { CommitParts } from "./parts.ts";
import { checkGroup, halves, type ReloadDone, type ReloadRequest, writeAndReload } from "./reload-group.ts";
import type { FollowUp, Handover } from "./worker-handover.ts";

/** How often a request is begun anew because somebody edits the file in the middle of it. */
const MAX_ATTEMPTS = 5;

/** How often it is looked whether old workers have ended. */
const OLD_WORKERS_LOOK_MS = 200;

/** What the lane is given. */
export interface ReloadLaneOptions extends CommitParts {
  readonly handover: Handover;
  /** Called when a file turned out to hold somebody else's edit: the group is taken back and tried again on top of it. Resolves when the edit is taken over or held, without waiting for its reload. */
  readonly onForeign: () => Promise<void>;
}

/** Where the lane is; see docs/decisions/0001-commit.md. */
export type ReloadStage = "idle" | "gathering" | "waiting" | "checking" | "writing" | "reloading";

/** Takes everything that the running worker cannot follow by commands: check, write, reload, and take back what HAProxy refuses. One group at a time. */
export class ReloadLane {
  readonly #options: ReloadLaneOptions;
  readonly #stopping = new AbortController();
  #queue: ReloadRequest[] = [];
  #running: Promise<void> | undefined;
  #stage: ReloadStage = "idle";
  #newestReload: number;
  /** Why it is not known what HAProxy runs; undefined when it is. */
  #doubt: FollowUp | undefined;
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
      this.#queue.push({ edit, reason, untold, warnings: [], attempts: 0, resolve, reject });
      this.#running ??= this.#drain();
    });
  }

  /** Says that a worker was started without us. Where HAProxy may run what was taken back it is reloaded. */
  workerStarted(): void {
    if (this.#doubt !== undefined) this.#followUp(this.#doubt);
  }

  /** Lets the group under way finish, and refuses what waits. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const { reject } of this.#queue.splice(0)) reject(shuttingDown());
    await this.#running;
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      this.#stage = "gathering";
      await this.#sleep(this.#options.policy.reloadDelayMs);
      await this.#untilAllowed();
      await this.#settleGroup(this.#takeGroup());
    }
    this.#stage = "idle";
    this.#running = undefined;
  }

  /** Everybody who waits, up to the first that is to be made alone. */
  #takeGroup(): ReloadRequest[] {
    const alone = this.#queue.findIndex(({ edit }) => edit?.alone === true);
    return this.#queue.splice(0, alone < 0 ? this.#queue.length : Math.max(alone, 1));
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

  async #settleGroup(group: readonly ReloadRequest[]): Promise<void> {
    try {
      await this.#runGroup(group);
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }

  async #runGroup(group: readonly ReloadRequest[]): Promise<void> {
    const { haproxy, working, files, writer, clock } = this.#options;
    requireUsable(files.state);
    if (!canReload(haproxy)) {
      throw new DomainError("HAPROXY_UNAVAILABLE", "HAProxy does not run, so it cannot be reloaded", {
        retryAfterMs: 1_000,
      });
    }
    this.#stage = "checking";
    const base = working.current;
    const accepted = await checkGroup(this.#options, base, group, this.#stopping.signal);
    if (accepted.length === 0) return;
    this.#stage = "writing";
    let reloading = false;
    const steps = {
      nextReload: () => ++this.#newestReload,
      onReloading: () => {
        this.#stage = "reloading";
        reloading = true;
      },
    };
    const outcome = await writer.exclusive(() =>
      writeAndReload({ ...this.#options, ...steps }, accepted, base),
    );
    if (reloading) this.#lastReloadEnd = clock.monotonic();
    switch (outcome.kind) {
      case "none":
        return;
      case "done":
        this.#doubt = undefined;
        for (const { resolve, warnings } of outcome.group) resolve({ ...outcome.done, warnings });
        if (outcome.followUp !== undefined) this.#followUp(outcome.followUp);
        return;
      case "again":
        await this.#beginAnew(accepted, outcome.foreign);
        return;
      case "failed":
        if (outcome.doubt !== undefined) {
          this.#doubt = outcome.doubt;
          // One that was made for that alone is not made again before another worker is seen.
          if (outcome.group.some(({ edit }) => edit !== undefined)) this.#followUp(outcome.doubt);
        }
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

  async #beginAnew(group: readonly ReloadRequest[], foreign: boolean): Promise<void> {
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
}

function shuttingDown(): DomainError {
  return new DomainError("SHUTTING_DOWN", "haplane is stopping", { retryAfterMs: 1_000 });
}
