import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { AppliedSchema } from "../../gen/haplane/v1/configuration_pb.js";
import { type SpoeChange, SpoeChangeSchema, type SpoeWriteOptions } from "../../gen/haplane/v1/spoe_pb.js";
import type { Done } from "../config/apply-changes.ts";
import { describeDone } from "../config/describe-done.ts";
import { fieldsInvalid } from "../rpc/fields.ts";
import type { Caller } from "../rpc/handler.ts";
import { applySpoe, type SpoeInput } from "../spoe/apply-spoe.ts";
import { printSpoeFile, type SpoeFile } from "../spoe/spoe-file.ts";
import { fileOfTransaction } from "../spoe/spoe-name.ts";
import { Document } from "../text/document.ts";
import { SPOE_SECTIONS } from "../text/structure.ts";
import { appliedOf } from "./applied.ts";
import { userOf } from "./configuration-writes.ts";
import type { SpoeTools } from "./open-spoe.ts";
import type { Outcome } from "./spoe-transactions.ts";
import { unifiedDiff } from "./unified-diff.ts";

/** What became of a write, in the API's words. */
export interface SpoeAnswer {
  readonly version: bigint;
  readonly applied: MessageInitShape<typeof AppliedSchema>;
  readonly diff: string;
  readonly done: readonly Done[];
  /** The file with the write. */
  readonly file: SpoeFile;
}

/** Writes resources of a file: at once, on trial, or into a transaction, as the request's options say. */
export async function writeSpoe(
  { files, transactions, context }: SpoeTools,
  caller: Caller,
  name: string,
  input: SpoeInput,
  options: SpoeWriteOptions | undefined,
): Promise<SpoeAnswer> {
  const validateOnly = options?.validateOnly ?? false;
  const transaction = options?.transaction ?? "";
  if (options !== undefined && transaction !== "") {
    refuseWithTransaction(options, name);
    const own = await transactions.of(name);
    const before = own.read(transaction, userOf(caller));
    const { document, done } = await own.stage(transaction, userOf(caller), input, !validateOnly);
    const diff = validateOnly ? spoeDiff(before.document, document) : "";
    return { version: BigInt(before.baseRevision), applied: {}, diff, done, file: document };
  }
  let done: readonly Done[] = [];
  const outcome = await files.change({
    ...{ name, author: caller.name, validateOnly },
    baseVersion: baseVersion(options?.baseVersion ?? 0n),
    message: () => describeDone(done),
    apply(file) {
      const changed = applySpoe(file, input, context());
      done = changed.done;
      return changed.document;
    },
  });
  return { ...spoeAnswer(outcome, validateOnly), done };
}

/** What every write answers. */
export function spoeAnswer(outcome: Outcome, validateOnly: boolean): Omit<SpoeAnswer, "done"> {
  const { before, after, version, applied } = outcome;
  return {
    version: BigInt(version),
    applied: appliedOf(applied ?? NOTHING),
    diff: validateOnly ? spoeDiff(before, after) : "",
    file: after,
  };
}

/** The input of a request that is one change. */
export function singleChange(
  operation: NonNullable<MessageInitShape<typeof SpoeChangeSchema>["operation"]>,
): SpoeInput {
  return { changes: [create(SpoeChangeSchema, { operation })], single: true };
}

/** The input of an Apply. */
export function batchOf(changes: readonly SpoeChange[]): SpoeInput {
  return { changes, single: false };
}

/** The guard of a request that names a version. */
export function baseVersion(version: bigint): number | undefined {
  return version === 0n ? undefined : Number(version);
}

/** What differs between two versions of a file. */
export function spoeDiff(before: SpoeFile, after: SpoeFile): string {
  return unifiedDiff(wholeOf(before), wholeOf(after));
}

function wholeOf(file: SpoeFile): Document {
  return Document.parse([{ path: file.name, bytes: printSpoeFile(file) }], SPOE_SECTIONS);
}

const NOTHING = {
  ...{ via: "none" as const, reasons: ["nothing differs"], commands: [], warnings: [] },
  ...{ reload: undefined, tookMs: 0 },
};

function refuseWithTransaction(
  { baseVersion: base, requestId, transaction }: SpoeWriteOptions,
  file: string,
) {
  const wrong = [
    ...(base === 0n ? [] : ["options.base_version"]),
    ...(requestId === "" ? [] : ["options.request_id"]),
  ].map((field) => ({ field, description: "is for the commit of the transaction" }));
  if (fileOfTransaction(transaction, "options.transaction") !== file)
    wrong.push({ field: "options.transaction", description: "must be a transaction on the same file" });
  if (wrong.length > 0) throw fieldsInvalid(wrong);
}
