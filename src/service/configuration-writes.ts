import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type ApplyRequest,
  ChangeSchema,
  type Resource,
  type WriteOptions,
} from "../../gen/haplane/v1/configuration_pb.js";
import type { ChangeOutcome, ChangeRequest } from "../commit/change.ts";
import type { Along, Edit } from "../commit/edit.ts";
import type { ConfigurationTransactions } from "../commit/staged-configuration.ts";
import type { Changed, Made } from "../config/apply-changes.ts";
import { type ApplyInput, applyRequest, requestSteps, sizeOf } from "../config/apply-request.ts";
import { describeDone } from "../config/describe-done.ts";
import type { Owns } from "../config/desired-changes.ts";
import { locate, readResourceId } from "../config/locate.ts";
import type { ResourceReader } from "../config/read-resource.ts";
import type { WriteContext } from "../config/write-context.ts";
import { runStepsGently } from "../lib/steps.ts";
import type { Caller } from "../rpc/handler.ts";
import type { Document } from "../text/document.ts";
import { appliedOf, unanswered } from "./applied.ts";
import { refuseWithTransaction, stageWrite } from "./staged-write.ts";
import { unifiedDiff } from "./unified-diff.ts";

/** The part of the commit that writes need. */
export interface ConfigurationCommit {
  readonly document: Document;
  readonly revision: number;
  change(request: ChangeRequest): Promise<ChangeOutcome>;
}

/** What writes are made with. */
export interface WriteTools {
  readonly commit: ConfigurationCommit;
  readonly transactions: ConfigurationTransactions;
  readonly reader: ResourceReader;
  readonly context: () => WriteContext;
  readonly owns: Owns;
}

/** What became of a write, in the API's words. */
export interface WriteAnswer {
  readonly revision: bigint;
  readonly applied: ReturnType<typeof appliedOf>;
  readonly diff: string;
  /** What was done, in the order of the changes. */
  readonly done: readonly Made[];
  /** The configuration with the write. */
  readonly document: Document;
}

/** Up to so many changes hold nobody up. */
const FEW_CHANGES = 64;

/** A write of resources. */
export interface WriteRequest {
  readonly caller: Caller;
  readonly input: ApplyInput;
  readonly options: WriteOptions | undefined;
  /** For the history; empty: what it changes. */
  readonly message: string;
  /** What is kept along with its revision, by the answer that can be given by then. */
  readonly along: ((answer: (revision: number) => WriteAnswer) => Along) | undefined;
}

/** Writes resources: at once, on trial, or into a transaction, as the request's options say. */
export async function write(
  { commit, transactions, context, owns }: WriteTools,
  { caller, input, options, message, along }: WriteRequest,
): Promise<WriteAnswer> {
  const guarded: ApplyInput = { ...input, guards: options?.guards ?? [] };
  const validateOnly = options?.validateOnly ?? false;
  if (options !== undefined && options.transaction !== "") {
    const { transaction, baseRevision: base, requestId } = options;
    refuseWithTransaction({
      "options.base_revision": base !== undefined,
      "options.request_id": requestId !== "",
    });
    const request = { transaction, caller, input: guarded, validateOnly };
    const staged = await stageWrite(transactions, request, unifiedDiff);
    const { done, document } = staged.changed;
    return { revision: staged.base, applied: {}, diff: staged.diff, done, document };
  }
  let changed: Changed | undefined;
  let prepared: { readonly document: Document; readonly changed: Changed } | undefined;
  const edit: Edit = {
    apply(document) {
      changed =
        prepared?.document === document ? prepared.changed : applyRequest(document, guarded, context(), owns);
      return changed.document;
    },
    ...(sizeOf(input) > FEW_CHANGES && {
      async prepare(document) {
        if (prepared?.document === document) return;
        const steps = requestSteps(document, guarded, context(), owns);
        prepared = { document, changed: await runStepsGently(steps) };
      },
    }),
    // Known once the edit has been made, which is before anybody asks.
    get resources() {
      return changed?.done.map(({ name }) => name) ?? [];
    },
    get message() {
      return message !== "" ? message : describeDone(changed?.done ?? []);
    },
    author: caller.name,
    servers: [],
    ...(along && { along: along((revision) => ({ ...unanswered(revision), ...changedOf(changed) })) }),
  };
  const outcome = await commit.change({
    edit,
    validateOnly,
    ...baseRevision(options?.baseRevision),
  });
  return { ...answerOf(outcome, validateOnly), done: changed?.done ?? [] };
}

function changedOf(changed: Changed | undefined): Pick<WriteAnswer, "done" | "document"> {
  if (changed === undefined) throw new Error("an edit is made before it is recorded");
  return changed;
}

/** What every write answers. */
export function answerOf(outcome: ChangeOutcome, validateOnly: boolean): Omit<WriteAnswer, "done"> {
  return {
    revision: BigInt(outcome.revision),
    applied: appliedOf(outcome),
    diff: validateOnly ? unifiedDiff(outcome.before, outcome.after) : "",
    document: outcome.after,
  };
}

/** The guard of a request that names a revision. */
export function baseRevision(revision: bigint | undefined): { readonly baseRevision?: number } {
  return revision === undefined ? {} : { baseRevision: Number(revision) };
}

/** The input of a request that is one change. */
export function single(
  operation: NonNullable<MessageInitShape<typeof ChangeSchema>["operation"]>,
): ApplyInput {
  const changes = [create(ChangeSchema, { operation })];
  return { changes, desired: [], prune: [], guards: [], single: true };
}

/** The input of an Apply. */
export function batch({ changes, desired, prune }: ApplyRequest): ApplyInput {
  return { changes, desired, prune, guards: [], single: false };
}

/** A resource as it is after a write; undefined when somebody has removed it already. */
export function resourceAfter(
  { reader }: WriteTools,
  { document, done }: WriteAnswer,
  name: string,
): Resource | undefined {
  const located = locate(document, readResourceId(done[0]?.name ?? name, "name"));
  return located === undefined ? undefined : reader.read(located, false);
}
