import type { Document } from "../text/document.ts";
import { type AttachedChange, FileDraft } from "./attached-files.ts";
import type { Classification } from "./classify.ts";
import { printed } from "./config-files.ts";
import { DurableChange } from "./durable-change.ts";
import { applyIfPossible, type Edit } from "./edit.ts";
import { type Judged, judge, type NeedsReload, type Unchanged } from "./judgement.ts";
import type { CommitParts } from "./parts.ts";
import { type PublishEphemeral, serverEvent } from "./server-event.ts";
import type { Pin, Position } from "./working-document.ts";

/** What became of a change in its turn. */
export type Tried =
  | Written
  | NeedsReload
  | Unchanged
  /** Somebody else changed the file. */
  | { readonly kind: "foreign" };

/** Durable, with its revision; the worker has not been told yet. */
export interface Written {
  readonly kind: "written";
  readonly revision: number;
  readonly before: Document;
  readonly after: Document;
  readonly classification: Classification;
  readonly edit: Edit;
  /** Keeps the edits from this one on, until it is known that HAProxy runs it. */
  readonly pin: Pin;
  /** To be called when HAProxy has been told, or never will be: the announcement of the write ends with the last one of those that were written together. */
  told(): void;
}

/** A change that waits for its turn. */
export interface Waiting {
  readonly edit: Edit;
  readonly resolve: (tried: Tried) => void;
  readonly reject: (error: unknown) => void;
}

/** What changes are written with. */
export interface WriteTogetherOptions extends CommitParts {
  readonly publishEphemeral: PublishEphemeral;
}

/** A change that is to be written, as it was judged on top of those before it. */
interface Step extends Judged {
  readonly request: Waiting;
}

interface Plan {
  readonly base: Document;
  readonly steps: readonly Step[];
  /** Tells those whose change is not written: what they are told rests on the changes that are, so it is said when those are durable. */
  tellOthers(): void;
}

/** A step that is in the document. */
interface Made extends Step {
  readonly told: Edit;
  readonly pin: Pin;
  readonly end: Position;
  readonly document: Document;
}

/**
 * Writes what needs no reload, of several changes at once: one file, one announcement, one transaction with a revision for each. Inside the writer's turn; every request is settled when this resolves. When it
 * rejects nothing is changed, and those that are not settled yet are to be told why. Only a change that comes alone may have files beside the configuration.
 */
export async function writeTogether(
  options: WriteTogetherOptions,
  requests: readonly Waiting[],
): Promise<void> {
  const { fs, files, working } = options;
  // The disk is asked while it is judged what to write.
  const places = files.places();
  const draft = await FileDraft.over(
    fs,
    requests.map(({ edit }) => edit),
  );
  for (const { edit } of requests) draft.make(edit);
  const attached = draft.changes;
  const first = plan(options, requests, attached);
  const last = first.steps.at(-1);
  if (last === undefined) return first.tellOthers();
  const edits = first.steps.map(({ request }) => request.edit);
  const change = await DurableChange.begin(options, { next: printed(last.after), attached, edits, places });
  // Discovery does not wait for turns, so the document may have changed meanwhile.
  const planned = working.current === first.base ? first : plan(options, requests, attached);
  if (planned.steps.length === 0) {
    await change.close();
    return planned.tellOthers();
  }
  const made = make(options, planned.steps);
  const takeBack = () => {
    made[0]!.pin.takeBack(new Set(made.map(({ told }) => told)));
    for (const { pin } of made) pin.release();
  };
  let revisions: readonly number[];
  try {
    if (planned !== first) await change.restage({ next: printed(working.current), attached });
    if ((await change.place()) === "foreign") {
      takeBack();
      await change.close();
      for (const { resolve } of requests) resolve({ kind: "foreign" });
      return;
    }
    revisions = await record(options, change, made);
  } catch (error) {
    takeBack();
    await change.undo();
    throw error;
  }
  settle(options, change, made, revisions);
  planned.tellOthers();
}

/** Judges changes, each on top of those before it. */
function plan(
  { haproxy, working }: WriteTogetherOptions,
  requests: readonly Waiting[],
  attached: readonly AttachedChange[],
): Plan {
  const base = working.current;
  let moment = { before: base, running: working.running };
  const steps: Step[] = [];
  const others: (() => void)[] = [];
  for (const request of requests) {
    const { edit, resolve, reject } = request;
    try {
      // Made on what the worker runs first, so that what the edit says of itself is of the document that its revision will have.
      const followed = moment.running === moment.before ? undefined : applyIfPossible(moment.running, edit);
      const judged = judge(haproxy, moment, edit, attached);
      if (judged.kind !== "runtime") {
        others.push(() => resolve(judged));
        continue;
      }
      steps.push({ ...judged, request });
      moment = { before: judged.after, running: followed ?? judged.after };
    } catch (error) {
      others.push(() => reject(error));
    }
  }
  const tellOthers = () => {
    for (const tell of others) tell();
  };
  return { base, steps, tellOthers };
}

function make({ working }: WriteTogetherOptions, steps: readonly Step[]): readonly Made[] {
  return steps.map((step) => {
    const told: Edit = { ...step.request.edit, servers: step.classification.servers };
    const pin = working.pin();
    working.apply(told);
    return { ...step, told, pin, end: working.position, document: working.current };
  });
}

/** The revisions, with what discovery did before them. */
async function record(
  { working, writer, files, clock, publishEphemeral }: WriteTogetherOptions,
  change: DurableChange,
  made: readonly Made[],
): Promise<readonly number[]> {
  const now = clock.now();
  publishEphemeral(() =>
    made.flatMap(({ classification, told }) =>
      classification.servers.map((facts) => serverEvent(facts, true, now, told)),
    ),
  );
  const unwritten = working.since(writer.written);
  let begin = 0;
  const entries = made.map(({ classification, end, document }, index) => {
    const edits = unwritten.slice(begin, end - writer.written);
    begin = end - writer.written;
    const parts = index === made.length - 1 ? files.believed : printed(document);
    return {
      parts,
      lane: classification.via === "runtime" ? ("runtime" as const) : ("reload" as const),
      edits,
    };
  });
  return change.recordUntold(entries);
}

function settle(
  { working, writer }: WriteTogetherOptions,
  change: DurableChange,
  made: readonly Made[],
  revisions: readonly number[],
): void {
  for (const { told } of made) working.goesLive(told);
  writer.settle(made.at(-1)!.end);
  let untold = made.length;
  const told = () => {
    untold -= 1;
    if (untold === 0) change.owe();
  };
  for (const [index, { request, before, document, classification, told: edit, pin }] of made.entries()) {
    const revision = revisions[index]!;
    request.resolve({ kind: "written", revision, before, after: document, classification, edit, pin, told });
  }
}
