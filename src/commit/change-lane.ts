import { DomainError } from "../lib/errors.ts";
import type { Document } from "../text/document.ts";
import { canReload } from "./can-reload.ts";
import type { ChangeOutcome, ChangeRequest } from "./change.ts";
import { type Classification, classify, touchedServers } from "./classify.ts";
import { describeCommand } from "./describe-command.ts";
import { type Edit, prepare, remembered, withApply } from "./edit.ts";
import { busyFile, requireUsable } from "./file-state.ts";
import type { History } from "./history.ts";
import { type NeedsReload, NOTHING } from "./judgement.ts";
import { lostSocket } from "./lost-socket.ts";
import type { CommitParts } from "./parts.ts";
import type { ReloadLane } from "./reload-lane.ts";
import type { RuntimeLane } from "./runtime-lane.ts";
import type { PublishEphemeral } from "./server-event.ts";
import { Trials } from "./trials.ts";
import { type Tried, type Waiting, type Written, writeTogether } from "./write-together.ts";

/** How often a change is begun anew because somebody edited the file in the middle of it. */
const MAX_ATTEMPTS = 5;

/** How many changes are written together at most, and how many bytes of files their revisions are told from: the event loop is not to be held up. */
const MAX_TOGETHER = 64;
const MAX_TOGETHER_BYTES = 8 * 1024 * 1024;

/** What the lane is given. */
export interface ChangeLaneOptions extends CommitParts {
  readonly runtime: RuntimeLane;
  readonly reloads: ReloadLane;
  readonly publishEphemeral: PublishEphemeral;
  /** Resolves when an edit by hand that a write came upon has been looked at. */
  readonly lookAtForeign: () => Promise<void>;
}

/**
 * Takes what API callers ask for: decides by the classes whether HAProxy can follow by commands, makes it durable before it is live, and answers when HAProxy runs it. What comes while others are being written is
 * written together next. What HAProxy cannot follow goes to the reload lane.
 */
export class ChangeLane {
  readonly #options: ChangeLaneOptions;
  readonly #trials: Trials;
  #waiting: Waiting[] = [];
  /** Changes that are recorded, while it is not known yet whether HAProxy takes them. */
  readonly #unconfirmed = new Set<Promise<unknown>>();

  constructor(options: ChangeLaneOptions) {
    this.#options = options;
    this.#trials = new Trials(options);
  }

  /** See `Commit.change`. */
  async change(request: ChangeRequest): Promise<ChangeOutcome> {
    const { clock, files, history } = this.#options;
    const start = clock.monotonic();
    const { baseRevision } = request;
    // What is taken back had no effect; so that it cannot refuse others, it is waited for.
    if (baseRevision !== undefined && !history.isCurrent(baseRevision))
      await Promise.allSettled(this.#unconfirmed);
    const edit = guarded({ ...request, edit: remembered(request.edit) }, history);
    if (request.validateOnly === true) {
      const { before, after, classification, warnings } = await this.#trials.try(edit);
      const outcome = this.#outcome(before, after, classification, start);
      return { ...outcome, warnings: [...outcome.warnings, ...warnings] };
    }
    if (request.check === true) await this.#trials.checkText(edit);
    for (let attempt = 1; ; attempt++) {
      requireUsable(files.state);
      if (!canReload(this.#options.haproxy)) throw notRunning();
      await prepare(edit, this.#options.working);
      const tried = await this.#try(edit);
      switch (tried.kind) {
        case "unchanged":
          return this.#outcome(tried.before, tried.before, NOTHING, start);
        case "written":
          return this.#confirming(this.#finish(tried, start));
        case "reload":
          return this.#reload(tried, edit, start);
        case "foreign":
          if (attempt === MAX_ATTEMPTS) throw busyFile();
          await this.#options.lookAtForeign();
      }
    }
  }

  /** Writes what needs no reload durably, and its revision with it, together with what waits by then. */
  #try(edit: Edit): Promise<Tried> {
    const { promise, resolve, reject } = Promise.withResolvers<Tried>();
    this.#waiting.push({ edit, resolve, reject });
    void this.#options.writer.exclusive(async () => {
      const group = this.#takeGroup();
      if (group.length === 0) return;
      await this.#write(group).catch((error: unknown) => {
        for (const request of group) request.reject(error);
      });
    });
    return promise;
  }

  async #write(group: readonly Waiting[]): Promise<void> {
    // A large edit is alone. Others may have been written since it was prepared; from here on only discovery changes the document.
    await prepare(group[0]!.edit, this.#options.working);
    await writeTogether(this.#options, group);
  }

  #takeGroup(): Waiting[] {
    const waiting = this.#waiting;
    const alone = waiting.findIndex(
      ({ edit }) => edit.files !== undefined || edit.prepare !== undefined || edit.alone === true,
    );
    const bytes = this.#options.files.believed.reduce((sum, part) => sum + part.content.length, 1);
    const limit = Math.max(1, Math.min(MAX_TOGETHER, Math.floor(MAX_TOGETHER_BYTES / bytes)));
    return waiting.splice(0, alone < 0 ? limit : Math.min(limit, Math.max(alone, 1)));
  }

  async #reload({ before, classification }: NeedsReload, edit: Edit, start: number): Promise<ChangeOutcome> {
    const { reloads, working } = this.#options;
    const done = await reloads.submit(
      { ...edit, servers: classification.servers },
      classification.reasons.join("; "),
    );
    const outcome = this.#outcome(before, working.current, classification, start);
    return { ...outcome, ...done, warnings: [...outcome.warnings, ...done.warnings] };
  }

  /** Sends the commands of what was written; where HAProxy does not take them, one reload of the durable file does, and if not even that, the change is taken back. */
  async #finish(written: Written, start: number): Promise<ChangeOutcome> {
    const { runtime, working, logger } = this.#options;
    const { before, after, classification, edit, revision } = written;
    const outcome = { ...this.#outcome(before, after, classification, start), revision };
    const followed = await runtime
      .follow(touchedServers(classification.servers), classification.commands, {
        unanswered: "reload",
        told: (backend, server) => working.toldOf([edit], backend, server),
      })
      .catch((error: unknown) => ({ kind: "failed" as const, error }));
    working.told(edit);
    written.told();
    if (followed.kind !== "failed") written.pin.release();
    switch (followed.kind) {
      case "commands":
        return { ...outcome, tookMs: this.#options.clock.monotonic() - start };
      case "reload":
        return {
          ...outcome,
          via: "reload",
          reasons: [followed.reason],
          reload: followed.reload,
          tookMs: this.#options.clock.monotonic() - start,
        };
      case "failed":
        logger.warn(
          { change: edit.message, err: followed.error },
          "HAProxy takes a change neither by commands nor by a reload; it is taken back",
        );
        await this.#takeBack(written);
        throw followed.error;
    }
  }

  async #confirming(finishing: Promise<ChangeOutcome>): Promise<ChangeOutcome> {
    this.#unconfirmed.add(finishing);
    try {
      return await finishing;
    } finally {
      this.#unconfirmed.delete(finishing);
    }
  }

  /** Undoes an edit that was recorded, as a revision of its own; what others did since stays. */
  async #takeBack({ edit, pin, revision }: Written): Promise<void> {
    const { working, writer, runtime, haproxy, history } = this.#options;
    await writer.exclusive(async () => {
      if (!pin.canTakeBack(edit)) return pin.release();
      history.takenBack(revision);
      const former = working.current;
      const written = working.since(pin.position).slice(0, writer.written - pin.position);
      pin.takeBack(new Set([edit]));
      writer.settle(pin.position + written.filter((other) => other !== edit).length);
      const reverse: Edit = {
        ...edit,
        apply: (document) => document,
        message: `takes back: ${edit.message}`,
        ...(edit.along && { along: { put: edit.along.remove, remove: () => [] } }),
        servers: classify(former, working.current, haproxy.capabilities?.version).servers,
      };
      working.applyLive(reverse);
      working.told(reverse);
      working.startedFrom(working.current, working.position);
      pin.release();
    });
    writer.restore();
    await writer.flush();
    await runtime.catchUp([edit]);
  }

  #outcome(before: Document, after: Document, classification: Classification, start: number): ChangeOutcome {
    const { clock, history } = this.#options;
    const { via, reasons, commands } = classification;
    return {
      ...{
        revision: history.newest,
        via,
        reasons,
        commands: commands.flatMap(describeCommand),
        reload: undefined,
      },
      ...{ tookMs: clock.monotonic() - start, before, after, warnings: lostSocket(before, after) },
    };
  }
}

/** The edit, with the guard on the revision it was made for. */
function guarded({ edit, baseRevision }: ChangeRequest, history: History): Edit {
  if (baseRevision === undefined) return edit;
  const guardedEdit = withApply(edit, (document) => {
    if (history.isCurrent(baseRevision)) return edit.apply(document);
    throw new DomainError("ETAG_MISMATCH", `the newest revision is ${history.newest}, not ${baseRevision}`, {
      metadata: { sent: String(baseRevision), current: String(history.newest) },
    });
  });
  return Object.assign(guardedEdit, { alone: true });
}

function notRunning(): DomainError {
  return new DomainError(
    "HAPROXY_UNAVAILABLE",
    "HAProxy does not run, so it cannot be said that it takes a change",
    { retryAfterMs: 1_000 },
  );
}
