import type { Event } from "../../gen/haplane/v1/events_pb.js";
import { filesNamed } from "../config/file-words.ts";
import { type ConfigurationAlert, DomainError } from "../lib/errors.ts";
import { Serial } from "../lib/serial.ts";
import type { Document } from "../text/document.ts";
import { type AttachedChange, FileDraft } from "./attached-files.ts";
import { canReload } from "./can-reload.ts";
import { checkCandidate } from "./candidate.ts";
import type { ChangeOutcome, ChangeRequest } from "./change.ts";
import { type Classification, classify, describeCommand, touchedServers } from "./classify.ts";
import { printed } from "./config-files.ts";
import { DurableChange } from "./durable-change.ts";
import { type Edit, remembered, withApply } from "./edit.ts";
import { requireUsable } from "./file-state.ts";
import type { History } from "./history.ts";
import type { CommitParts } from "./parts.ts";
import type { ReloadLane } from "./reload-lane.ts";
import type { RuntimeLane } from "./runtime-lane.ts";
import { eventNow, serverEvent } from "./server-event.ts";
import { requireStartable } from "./start-conditions.ts";
import type { Pin } from "./working-document.ts";

/** How often a change is begun anew because somebody edited the file in the middle of it. */
const MAX_ATTEMPTS = 5;

/** How many changes may wait for a check that nothing depends on. Each takes a processor while it runs. */
const MAX_TRIED = 32;

/** Nobody ends such a check before its deadline. */
const NEVER = new AbortController().signal;

/** What the lane is given. */
export interface ChangeLaneOptions extends CommitParts {
  readonly runtime: RuntimeLane;
  readonly reloads: ReloadLane;
  readonly publishEphemeral: (events: readonly Event[]) => void;
  /** Resolves when an edit by hand that a write came upon has been looked at. */
  readonly lookAtForeign: () => Promise<void>;
}

/**
 * Takes what API callers ask for: decides by the classes whether HAProxy can follow by commands, makes it durable before it is live, and answers when HAProxy runs it. What it cannot
 * follow goes to the reload lane.
 */
export class ChangeLane {
  readonly #options: ChangeLaneOptions;
  readonly #trials = new Serial();
  /** Checks of `validateOnly` that run or wait. */
  #trying = 0;

  constructor(options: ChangeLaneOptions) {
    this.#options = options;
  }

  /** See `Commit.change`. */
  async change(request: ChangeRequest): Promise<ChangeOutcome> {
    const { clock, writer, files } = this.#options;
    const start = clock.monotonic();
    const edit = guarded({ ...request, edit: remembered(request.edit) }, this.#options.history);
    if (request.validateOnly === true) return this.#validate(edit, start);
    if (request.check === true) await this.#checkText(edit);
    for (let attempt = 1; ; attempt++) {
      requireUsable(files.state);
      if (!canReload(this.#options.haproxy)) throw notRunning();
      const tried = await writer.exclusive(() => this.#tryRuntime(edit));
      switch (tried.kind) {
        case "unchanged":
          return this.#outcome(tried.before, tried.before, NOTHING, start);
        case "written":
          return this.#finish(tried, start);
        case "reload":
          return this.#reload(tried, edit, start);
        case "foreign":
          if (attempt === MAX_ATTEMPTS) throw busyFile();
          await this.#options.lookAtForeign();
      }
    }
  }

  async #reload({ before, classification }: NeedsReload, edit: Edit, start: number): Promise<ChangeOutcome> {
    const { reloads, working } = this.#options;
    const done = await reloads.submit(
      { ...edit, servers: classification.servers },
      classification.reasons.join("; "),
    );
    return { ...this.#outcome(before, working.current, classification, start), ...done };
  }

  async #validate(edit: Edit, start: number): Promise<ChangeOutcome> {
    const before = this.#options.working.current;
    const after = edit.apply(before);
    const draft = await FileDraft.over(this.#options.fs, [edit]);
    draft.make(edit);
    const classification = this.#withFiles(this.#classify(after), after, edit, draft.changes);
    const warnings = await this.#tried(async () => {
      await requireStartable(this.#options.fs, after);
      return checkCandidate(this.#options, after, NEVER, draft.changes);
    });
    return { ...this.#outcome(before, after, classification, start), warnings };
  }

  /** Has HAProxy's check read what would be written without a reload, and so without a check. */
  async #checkText(edit: Edit): Promise<void> {
    const draft = await FileDraft.over(this.#options.fs, [edit]);
    draft.make(edit);
    const judged = this.#judge(edit, draft.changes);
    if (judged.kind !== "runtime") return;
    await checkCandidate(this.#options, judged.after, NEVER, draft.changes).catch((error: unknown) => {
      // Where no binary is known nobody can be asked.
      if (!(error instanceof DomainError && error.reason === "NOT_SUPPORTED")) throw error;
    });
  }

  /** Runs a check that nothing depends on: one at a time, and only so many wait. */
  async #tried(check: () => Promise<ConfigurationAlert[]>): Promise<readonly ConfigurationAlert[]> {
    if (this.#trying >= MAX_TRIED) {
      throw new DomainError("LIMIT_EXCEEDED", "too many changes are being validated; try again", {
        metadata: { limit: String(MAX_TRIED) },
        retryAfterMs: 1_000,
      });
    }
    this.#trying += 1;
    try {
      return await this.#trials.run(check);
    } catch (error) {
      if (error instanceof DomainError && error.reason === "NOT_SUPPORTED") return [];
      throw error;
    } finally {
      this.#trying -= 1;
    }
  }

  /** Inside the writer's turn: what needs no reload is written durably, and its revision with it. */
  async #tryRuntime(edit: Edit): Promise<Tried> {
    const { fs, working, writer, clock, publishEphemeral } = this.#options;
    const draft = await FileDraft.over(fs, [edit]);
    draft.make(edit);
    const attached = draft.changes;
    const first = this.#judge(edit, attached);
    if (first.kind !== "runtime") return first;
    const change = await DurableChange.begin(this.#options, {
      ...{ next: printed(first.after), attached, edits: [edit] },
    });
    // Discovery does not wait for turns, so the document may have changed meanwhile.
    const judged = working.current === first.before ? first : this.#judgeAgain(edit, attached);
    if (judged.kind !== "runtime") {
      await change.close();
      if (judged.kind === "failed") throw judged.error;
      return judged;
    }
    const { before, classification } = judged;
    const told: Edit = { ...edit, servers: classification.servers };
    const pin = working.pin();
    const takeBack = () => {
      pin.takeBack(new Set([told]));
      pin.release();
    };
    working.apply(told);
    const end = working.position;
    const document = working.current;
    try {
      if (judged !== first) await change.restage({ next: printed(document), attached });
      if ((await change.place()) === "foreign") {
        takeBack();
        await change.close();
        return { kind: "foreign" };
      }
      publishEphemeral(
        classification.servers.map((facts) => eventNow(serverEvent(facts, true), clock.now(), edit)),
      );
      const lane = classification.via === "runtime" ? "runtime" : "reload";
      await change.recordUntold({
        lane,
        edits: working.since(writer.written).slice(0, end - writer.written),
      });
    } catch (error) {
      takeBack();
      await change.undo();
      throw error;
    }
    working.goesLive(told);
    writer.settle(end);
    return { kind: "written", before, after: document, classification, edit: told, pin, change };
  }

  /** Sends the commands of what was written; where HAProxy does not take them, one reload of the durable file does, and if not even that, the change is taken back. */
  async #finish(written: Written, start: number): Promise<ChangeOutcome> {
    const { runtime, logger } = this.#options;
    const { before, after, classification, edit } = written;
    const outcome = this.#outcome(before, after, classification, start);
    const followed = await runtime
      .follow(touchedServers(classification.servers), classification.commands, "reload")
      .catch((error: unknown) => ({ kind: "failed" as const, error }));
    written.change.owe();
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

  /** Undoes an edit that was recorded, as a revision of its own; what others did since stays. */
  async #takeBack({ edit, pin }: Written): Promise<void> {
    const { working, writer, runtime } = this.#options;
    await writer.exclusive(async () => {
      const former = working.current;
      const written = working.since(pin.position).slice(0, writer.written - pin.position);
      pin.takeBack(new Set([edit]));
      writer.settle(pin.position + written.filter((other) => other !== edit).length);
      const reverse: Edit = {
        ...edit,
        apply: (document) => document,
        message: `takes back: ${edit.message}`,
        ...(edit.along && { along: { put: edit.along.remove, remove: () => [] } }),
        servers: this.#classifyFrom(former, working.current).servers,
      };
      working.applyLive(reverse);
      working.startedFrom(working.current, working.position);
      pin.release();
    });
    writer.restore();
    await writer.flush();
    await runtime.catchUp([edit]);
  }

  /** The same, where something has been begun that has to be ended first. */
  #judgeAgain(
    edit: Edit,
    attached: readonly AttachedChange[],
  ): Judgement | { readonly kind: "failed"; readonly error: unknown } {
    try {
      return this.#judge(edit, attached);
    } catch (error) {
      return { kind: "failed", error };
    }
  }

  /** What an edit means on the document of this moment. Throws what the edit throws. */
  #judge(edit: Edit, attached: readonly AttachedChange[]): Judgement {
    const before = this.#options.working.current;
    const after = edit.apply(before);
    if (after === before && attached.length === 0) return { kind: "unchanged", before };
    const classification = this.#unlessDown(this.#withFiles(this.#classify(after), after, edit, attached));
    if (classification.via === "reload") return { kind: "reload", before, classification };
    return { kind: "runtime", before, after, classification };
  }

  /** Nobody takes commands from an HAProxy that is down: it is started from what is written. */
  #unlessDown(classification: Classification): Classification {
    if (this.#options.haproxy.state.kind === "running") return classification;
    const reasons = [...classification.reasons, "HAProxy does not run, and is started from it"];
    return { ...classification, via: "reload", reasons, commands: [] };
  }

  /** Files that HAProxy has read are read again by a reload only. What goes along with commands does too: one step takes back both. */
  #withFiles(
    classification: Classification,
    after: Document,
    { alwaysReload }: Edit,
    attached: readonly AttachedChange[],
  ): Classification {
    if (attached.length === 0) return classification;
    const everyOne = alwaysReload === true || classification.via === "runtime";
    const named = new Set(
      filesNamed(
        after,
        attached.map(({ path }) => path),
      ),
    );
    const reasons = attached
      .filter(({ path }) => everyOne || named.has(path))
      .map(({ path, next }) => `${next === undefined ? "removes" : "replaces"} ${path}`);
    if (reasons.length === 0) return classification;
    return {
      ...classification,
      via: "reload",
      reasons: [...classification.reasons, ...reasons],
      commands: [],
    };
  }

  #classify(after: Document): Classification {
    return this.#classifyFrom(this.#options.working.running, after);
  }

  #classifyFrom(running: Document, after: Document): Classification {
    return classify(running, after, this.#options.haproxy.capabilities?.version);
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
      ...{ tookMs: clock.monotonic() - start, before, after, warnings: [] },
    };
  }
}

/** The edit, on the document of a moment, is one that HAProxy can follow by commands. */
interface Judged {
  readonly kind: "runtime";
  readonly before: Document;
  readonly after: Document;
  readonly classification: Classification;
}

/** What an edit means on the document of a moment. */
type Judgement = NeedsReload | Unchanged | Judged;

/** What was found inside the writer's turn. */
type Tried =
  | Written
  | NeedsReload
  | Unchanged
  /** Somebody else changed the file. */
  | { readonly kind: "foreign" };

/** The edit makes no difference. */
interface Unchanged {
  readonly kind: "unchanged";
  readonly before: Document;
}

interface NeedsReload {
  readonly kind: "reload";
  readonly before: Document;
  readonly classification: Classification;
}

/** Durable, with its revision; the worker has not been told yet. */
interface Written {
  readonly kind: "written";
  readonly before: Document;
  readonly after: Document;
  readonly classification: Classification;
  readonly edit: Edit;
  /** Keeps the edits from this one on, until it is known that HAProxy runs it. */
  readonly pin: Pin;
  /** Ends when HAProxy has been told. */
  readonly change: DurableChange;
}

const NOTHING: Classification = { via: "none", reasons: [], commands: [], servers: [] };

/** The edit, with the guard on the revision it was made for. */
function guarded({ edit, baseRevision }: ChangeRequest, history: History): Edit {
  if (baseRevision === undefined) return edit;
  return withApply(edit, (document) => {
    if (baseRevision >= history.newestOfOthers && baseRevision <= history.newest) return edit.apply(document);
    throw new DomainError("ETAG_MISMATCH", `the newest revision is ${history.newest}, not ${baseRevision}`, {
      metadata: { sent: String(baseRevision), current: String(history.newest) },
    });
  });
}

function notRunning(): DomainError {
  return new DomainError(
    "HAPROXY_UNAVAILABLE",
    "HAProxy does not run, so it cannot be said that it takes a change",
    { retryAfterMs: 1_000 },
  );
}

function busyFile(): DomainError {
  return new DomainError("FILE_HELD", "the configuration file is being edited by somebody else; try again", {
    retryAfterMs: 1_000,
  });
}
