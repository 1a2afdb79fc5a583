import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { AppliedSchema } from "../../gen/haplane/v1/configuration_pb.js";
import {
  type SpoeApplyRequest,
  type SpoeChange,
  SpoeChangeSchema,
  type SpoeWriteOptions,
} from "../../gen/haplane/v1/spoe_pb.js";
import type { Along } from "../commit/edit.ts";
import type { Done } from "../config/apply-changes.ts";
import { describeDone } from "../config/describe-done.ts";
import { fieldsInvalid } from "../rpc/fields.ts";
import type { Caller } from "../rpc/handler.ts";
import { applySpoe, type SpoeInput } from "../spoe/apply-spoe.ts";
import { printSpoeFile, type SpoeFile } from "../spoe/spoe-file.ts";
import type { SpoeMade } from "../spoe/spoe-files.ts";
import { fileOfTransaction } from "../spoe/spoe-name.ts";
import { Document } from "../text/document.ts";
import { SPOE_SECTIONS } from "../text/structure.ts";
import { appliedOf, unanswered } from "./applied.ts";
import type { SpoeTools } from "./open-spoe.ts";
import type { Outcome } from "./spoe-transactions.ts";
import { refuseWithTransaction, stageWrite } from "./staged-write.ts";
import { unifiedDiff } from "./unified-diff.ts";

/** What became of a commit, in the API's words. */
export interface SpoeCommitted {
  readonly version: bigint;
  readonly applied: MessageInitShape<typeof AppliedSchema>;
  readonly diff: string;
}

/** What became of a write. */
export interface SpoeAnswer extends SpoeCommitted {
  readonly done: readonly Done[];
  /** The file with the write. */
  readonly file: SpoeFile;
}

/** A write of resources of a file. */
export interface SpoeWrite {
  readonly caller: Caller;
  /** Of the file. */
  readonly name: string;
  readonly input: SpoeInput;
  readonly options: SpoeWriteOptions | undefined;
  /** For the history; empty: what it changes. */
  readonly message: string;
  /** What is kept along with its revision, by the answer that can be given by then. */
  readonly along: ((answer: (revision: number) => SpoeAnswer) => Along) | undefined;
}

/** Writes resources of a file: at once, on trial, or into a transaction, as the request's options say. */
export async function writeSpoe(
  { files, transactions, context }: SpoeTools,
  { caller, name, input, options, message, along }: SpoeWrite,
): Promise<SpoeAnswer> {
  const validateOnly = options?.validateOnly ?? false;
  const transaction = options?.transaction ?? "";
  if (options !== undefined && transaction !== "") {
    refuseWithTransaction({
      "options.base_version": options.baseVersion !== 0n,
      "options.request_id": options.requestId !== "",
    });
    requireSameFile(transaction, name);
    const request = { transaction, caller, input, validateOnly };
    const staged = await stageWrite(await transactions.of(name), request, spoeDiff);
    const { done, document } = staged.changed;
    return { version: staged.base, applied: {}, diff: staged.diff, done, file: document };
  }
  let done: readonly Done[] = [];
  const outcome = await files.change({
    ...{ name, author: caller.name, validateOnly },
    baseVersion: baseVersion(options?.baseVersion ?? 0n),
    message: () => (message === "" ? describeDone(done) : message),
    along:
      along && ((made) => along((revision) => ({ ...notAnswered(made, revision), done, file: made.after }))),
    apply(file) {
      const changed = applySpoe(file, input, context());
      done = changed.done;
      return changed.document;
    },
  });
  return { ...committed(outcome, validateOnly), done, file: outcome.after };
}

/** What every commit answers. */
export function committed(
  { before, after, version, applied }: Outcome,
  validateOnly: boolean,
): SpoeCommitted {
  return {
    version: BigInt(version),
    applied: appliedOf(applied ?? NOTHING),
    diff: validateOnly ? spoeDiff(before, after) : "",
  };
}

/** What a retry is told of a commit whose process ended before it could answer. */
export function notAnswered({ version }: Pick<SpoeMade, "version">, revision: number): SpoeCommitted {
  return { ...unanswered(revision), version: BigInt(version) };
}

/** The input of a request that is one change. */
export function singleChange(
  operation: NonNullable<MessageInitShape<typeof SpoeChangeSchema>["operation"]>,
): SpoeInput {
  return { changes: [create(SpoeChangeSchema, { operation })], desired: [], prune: [], single: true };
}

/** The input of an Apply. */
export function batchOf({
  changes,
  desired,
  prune,
}: Pick<SpoeApplyRequest, "desired" | "prune"> & { readonly changes: readonly SpoeChange[] }): SpoeInput {
  return { changes, desired, prune, single: false };
}

/** The guard of a request that names a version. */
export function baseVersion(version: bigint): number | undefined {
  return version === 0n ? undefined : Number(version);
}

/** What differs between two versions of a file. */
export function spoeDiff(before: SpoeFile, after: SpoeFile): string {
  return unifiedDiff(wholeOf(before), wholeOf(after));
}

/** Throws `FIELD_INVALID` for a transaction on another file. */
export function requireSameFile(transaction: string, file: string, field = "options.transaction"): void {
  if (fileOfTransaction(transaction, field) !== file)
    throw fieldsInvalid([{ field, description: "must be a transaction on the same file" }]);
}

function wholeOf(file: SpoeFile): Document {
  return Document.parse([{ path: file.name, bytes: printSpoeFile(file) }], SPOE_SECTIONS);
}

const NOTHING = {
  ...{ via: "none" as const, reasons: ["nothing differs"], commands: [], warnings: [] },
  ...{ reload: undefined, tookMs: 0 },
};
