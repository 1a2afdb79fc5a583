import { type ConfigurationAlert, DomainError } from "../lib/errors.ts";
import type { Operation, ReloadRecord } from "../store/operations.ts";
import type { Document } from "../text/document.ts";
import { FileDraft } from "./attached-files.ts";
import { checkCandidate } from "./candidate.ts";
import { classify, mergeTouched, type TouchedServers, touchedServers } from "./classify.ts";
import { printed } from "./config-files.ts";
import { DurableChange } from "./durable-change.ts";
import type { Edit } from "./edit.ts";
import type { CommitParts } from "./parts.ts";
import { reloadError } from "./reload-error.ts";
import { reloadEvent } from "./reload-event.ts";
import { eventNow } from "./server-event.ts";
import { requireStartable } from "./start-conditions.ts";
import type { FollowUp, Handover, PlannedReload } from "./worker-handover.ts";
import type { Position } from "./working-document.ts";

/** What a reload did. */
export interface ReloadDone {
  /** Its number. */
  readonly reload: number;
  /** The newest revision, which HAProxy now runs. */
  readonly revision: number;
  /** What HAProxy's check warned of. */
  readonly warnings: readonly ConfigurationAlert[];
}

/** What somebody wants of the reload lane. */
export interface ReloadRequest {
  /** Undefined: nothing but a reload is wanted. */
  readonly edit: Edit | undefined;
  readonly reason: string;
  readonly untold: TouchedServers;
  /** What HAProxy's check warned of, when it read the configuration with it. */
  warnings: readonly ConfigurationAlert[];
  /** How often it was begun anew because somebody edited the file in the middle. */
  attempts: number;
  readonly resolve: (done: ReloadDone) => void;
  readonly reject: (error: unknown) => void;
}

/** How a group ended. */
export type GroupOutcome =
  /** No request was left. */
  | { readonly kind: "none" }
  | {
      readonly kind: "done";
      readonly group: readonly ReloadRequest[];
      readonly done: Omit<ReloadDone, "warnings">;
      readonly followUp: FollowUp | undefined;
    }
  /** The document or a file changed since the check. */
  | { readonly kind: "again"; readonly foreign: boolean }
  | {
      readonly kind: "failed";
      readonly group: readonly ReloadRequest[];
      readonly error: unknown;
      readonly splittable: boolean;
      /** Set when HAProxy may run what was taken back: no end of the reload was seen, or it was started in the middle. */
      readonly doubt?: FollowUp;
    };

/** What a group is taken through its steps with. */
export interface ReloadGroupOptions extends CommitParts {
  readonly handover: Handover;
  /** The number of the next reload. */
  readonly nextReload: () => number;
  /** Called when the file is durable and the master is about to be told. */
  readonly onReloading: () => void;
}

/** The requests of a group that HAProxy takes together, after others that it takes; the rest are rejected, each with its own error. */
export async function checkGroup(
  options: CommitParts,
  base: Document,
  group: readonly ReloadRequest[],
  signal: AbortSignal,
  accepted: readonly ReloadRequest[] = [],
): Promise<readonly ReloadRequest[]> {
  const draft = await FileDraft.over(
    options.fs,
    [...accepted, ...group].map(({ edit }) => edit),
  );
  const applicable: ReloadRequest[] = [];
  let candidate = base;
  for (const request of [...accepted, ...group]) {
    try {
      await request.edit?.prepare?.(candidate);
      const next = request.edit?.apply(candidate) ?? candidate;
      draft.make(request.edit);
      candidate = next;
      if (!accepted.includes(request)) applicable.push(request);
    } catch (error) {
      request.reject(error);
    }
  }
  if (applicable.length === 0) return [];
  try {
    await requireStartable(options.fs, candidate);
    const warnings = await checkCandidate(options, candidate, signal, draft.changes);
    for (const request of [...accepted, ...applicable]) request.warnings = warnings;
    return applicable;
  } catch (error) {
    const refusedByHaproxy = error instanceof DomainError && error.reason === "CONFIGURATION_REFUSED";
    if (error instanceof DomainError && error.reason === "NOT_SUPPORTED") return applicable;
    if (!refusedByHaproxy || applicable.length === 1) {
      for (const { reject } of applicable) reject(error);
      return [];
    }
    const [first, second] = halves(applicable);
    const good = await checkGroup(options, base, first, signal, accepted);
    const rest = await checkGroup(options, base, second, signal, [...accepted, ...good]);
    return [...good, ...rest];
  }
}

/**
 * Writes a checked group and reloads, inside the writer's turn. `base` is what the check was made on: when more than servers changed since, the check has to be made again.
 */
export async function writeAndReload(
  options: ReloadGroupOptions,
  checked: readonly ReloadRequest[],
  base: Document,
): Promise<GroupOutcome> {
  const { working, files, writer, history, haproxy, handover, logger } = options;
  const draft = await FileDraft.over(
    options.fs,
    checked.map(({ edit }) => edit),
  );
  if (await files.isForeign()) return { kind: "again", foreign: true };
  const written = writer.written;
  const before = working.current;
  if (before !== base && classify(base, before, haproxy.capabilities?.version).via === "reload")
    return { kind: "again", foreign: false };
  const pin = working.pin();
  try {
    const { group, edits } = make(options, checked, draft);
    if (group.length === 0) return { kind: "none" };
    const [after, end] = [working.current, working.position];
    const reload = newRecord(options, group);
    const takeBack = () => {
      const lost = pin.takeBack(edits);
      if (lost.length === 0) return;
      const messages = lost.map(({ message }) => message);
      logger.error({ edits: messages }, "runtime changes were lost with a refused group");
    };
    const notWritten = (error: unknown): GroupOutcome => ({
      kind: "failed",
      group,
      error,
      splittable: false,
    });

    let change: DurableChange;
    try {
      change = await DurableChange.begin(
        options,
        { next: printed(after), attached: draft.changes, edits: [...edits] },
        [{ kind: "put-reload", reload }, reloadEvents(options, reload)],
      );
    } catch (error) {
      takeBack();
      writer.owe(ended(options, reload, "failed", "the file could not be written"));
      return notWritten(error);
    }
    try {
      if ((await change.place()) === "foreign") {
        takeBack();
        await change.close(ended(options, reload, "failed", "the file was edited meanwhile"));
        return { kind: "again", foreign: true };
      }
    } catch (error) {
      takeBack();
      await change.undo(ended(options, reload, "failed", "the file could not be written"));
      return notWritten(error);
    }

    options.onReloading();
    const underWay = touchedServers(working.untold);
    const untold = mergeTouched([underWay, ...group.map((request) => request.untold)]);
    const planned: PlannedReload = { before: working.running, after, untold };
    const legacy = await handover.before(planned);
    const outcome = await haproxy
      .reload()
      .catch((error: unknown) => ({ kind: "unreachable" as const, error }));
    if (outcome.kind !== "succeeded") {
      const error = reloadError(outcome, after);
      takeBack();
      await change.undo(ended(options, reload, "failed", error.message));
      const splittable = outcome.kind === "refused";
      if (outcome.kind !== "master_lost" && outcome.kind !== "timed_out")
        return { kind: "failed", group, error, splittable };
      const reason = "HAProxy may run what was taken back: the end of its reload was not seen";
      const taken = touchedServers([...edits].flatMap(({ servers }) => servers));
      return {
        ...{ kind: "failed", group, error, splittable },
        doubt: { reason, untold: mergeTouched([untold, taken]) },
      };
    }
    working.startedFrom(after, end);
    const followUp = await handover.after({ legacy, since: working.since(end) });
    await record(options, change, reload, { edits: working.since(written).slice(0, end - written), end });
    return { kind: "done", group, done: { reload: reload.number, revision: history.newest }, followUp };
  } finally {
    pin.release();
  }
}

/** Makes the edits of the requests, on the document of this moment; those that do not fit any more are rejected, each with its own error. */
function make(
  { working }: CommitParts,
  requests: readonly ReloadRequest[],
  draft: FileDraft,
): { readonly group: readonly ReloadRequest[]; readonly edits: ReadonlySet<Edit> } {
  const group: ReloadRequest[] = [];
  const edits = new Set<Edit>();
  for (const request of requests) {
    try {
      const { edit } = request;
      if (edit !== undefined) {
        // Both may throw, and then neither is made.
        edit.apply(working.current);
        draft.make(edit);
        working.apply(edit);
        edits.add(edit);
      }
      group.push(request);
    } catch (error) {
      request.reject(error);
    }
  }
  return { group, edits };
}

/** HAProxy runs it, so it is done; a history that cannot be written now is caught up by the writer. */
async function record(
  options: ReloadGroupOptions,
  change: DurableChange,
  reload: ReloadRecord,
  { edits, end }: { readonly edits: readonly Edit[]; readonly end: Position },
): Promise<void> {
  const { writer, clock, logger } = options;
  if (edits.length === 0) return change.close(ended(options, reload, "succeeded", ""));
  const succeeded: ReloadRecord = { ...reload, state: "succeeded", endTime: clock.now() };
  const put: Operation = { kind: "put-reload", reload: succeeded };
  try {
    await change.record({ lane: "reload", edits, events: [reloadEvent(succeeded)], with: () => [put] });
    writer.settle(end);
  } catch (error) {
    logger.error({ err: error }, "HAProxy runs a change that is not in the history yet; it is tried again");
    change.owe([put, reloadEvents(options, succeeded)]);
  }
}

function newRecord(
  { history, clock, nextReload }: ReloadGroupOptions,
  group: readonly ReloadRequest[],
): ReloadRecord {
  return {
    number: nextReload(),
    state: "running",
    reasons: [...new Set(group.map(({ reason }) => reason))],
    output: "",
    revision: history.newest + 1,
    startTime: clock.now(),
  };
}

/** What says in the store that a reload has ended. */
function ended(
  options: CommitParts,
  reload: ReloadRecord,
  state: "succeeded" | "failed",
  output: string,
): Operation[] {
  const record: ReloadRecord = { ...reload, state, output, endTime: options.clock.now() };
  return [{ kind: "put-reload", reload: record }, reloadEvents(options, record)];
}

function reloadEvents({ clock }: CommitParts, reload: ReloadRecord): Operation {
  return {
    kind: "append-events",
    events: [eventNow(reloadEvent(reload), clock.now(), { author: "haplane" })],
  };
}

/** A group in two. */
export function halves<T>(items: readonly T[]): [readonly T[], readonly T[]] {
  const middle = items.length >> 1;
  return [items.slice(0, middle), items.slice(middle)];
}
