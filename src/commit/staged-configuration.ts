import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ApplyRequestSchema, WriteOptionsSchema } from "../../gen/haplane/v1/configuration_pb.js";
import type { Changed } from "../config/apply-changes.ts";
import { type ApplyInput, fingerprint, requestSteps } from "../config/apply-request.ts";
import type { Owns } from "../config/desired-changes.ts";
import { readResourceId, writeResourceId } from "../config/locate.ts";
import type { WriteContext } from "../config/write-context.ts";
import { runSteps, runStepsGently } from "../lib/steps.ts";
import type { Document } from "../text/document.ts";
import type { ChangeOutcome, ChangeRequest } from "./change.ts";
import type { Subject } from "./transaction-subject.ts";
import type { Transactions } from "./transactions.ts";

/** The configuration as transactions know it. */
export interface StagedConfigurationOptions {
  readonly commit: {
    readonly document: Document;
    readonly revision: number;
    change(request: ChangeRequest): Promise<ChangeOutcome>;
  };
  /** Asked for at each write: the running HAProxy may have become another. */
  readonly context: () => WriteContext;
  readonly owns: Owns;
}

/** The subject of the configuration's transactions. */
export function stagedConfiguration({
  commit,
  context,
  owns,
}: StagedConfigurationOptions): Subject<Document, ApplyInput, Changed, ChangeOutcome> {
  /** Of writes that were accepted before, etags and guards do not count any more. */
  const steps = (document: Document, input: ApplyInput, again: boolean) =>
    again
      ? requestSteps(document, { ...input, guards: [] }, { ...context(), etagsCount: false }, owns)
      : requestSteps(document, input, context(), owns);
  return {
    prefix: "transactions/",
    title: "the configuration",
    get document() {
      return commit.document;
    },
    get revision() {
      return commit.revision;
    },
    apply: (document, input, again) => runSteps(steps(document, input, again)),
    applyGently: (document, input, again) => runStepsGently(steps(document, input, again)),
    guarded: ({ guards }) =>
      guards.map(({ name }) => writeResourceId(readResourceId(name, "options.guards"))),
    fingerprint: (document, name, extent) => fingerprint(document, name, extent, context().etags),
    encode({ changes, desired, prune, guards }) {
      const options = create(WriteOptionsSchema, { guards: [...guards] });
      return toBinary(ApplyRequestSchema, create(ApplyRequestSchema, { changes, desired, prune, options }));
    },
    decode(bytes) {
      const { changes, desired, prune, options } = fromBinary(ApplyRequestSchema, bytes);
      return { changes, desired, prune, guards: options?.guards ?? [], single: false };
    },
    commit: (edit, { validateOnly, baseRevision, message }) =>
      commit.change({
        edit: { ...edit, message, servers: [] },
        validateOnly,
        ...(baseRevision !== undefined && { baseRevision }),
      }),
  };
}

/** The transactions of the configuration. */
export type ConfigurationTransactions = Transactions<Document, ApplyInput, Changed, ChangeOutcome>;
