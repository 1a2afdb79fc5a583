import { create, type DescMessage, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  ApplyRequestSchema,
  ApplyResponseSchema,
  CommitTransactionRequestSchema,
  CommitTransactionResponseSchema,
  Configuration,
  CreateRequestSchema,
  CreateResponseSchema,
  DeleteRequestSchema,
  DeleteResponseSchema,
  type GetCapabilitiesResponseSchema,
  ReplaceDocumentHeaderSchema,
  ReplaceDocumentResponseSchema,
  ResourceChange_Type,
  type ResourceChangeSchema,
  RollbackRequestSchema,
  RollbackResponseSchema,
  type TransactionSchema,
  UpdateRequestSchema,
  UpdateResponseSchema,
  type WriteOptions,
} from "../../gen/haplane/v1/configuration_pb.js";
import type { Edit } from "../commit/edit.ts";
import type { TransactionView } from "../commit/open-transaction.ts";
import type { Made } from "../config/apply-changes.ts";
import type { ApplyInput } from "../config/apply-request.ts";
import { changedNames } from "../config/changed-names.ts";
import { rolledBack, withContent } from "../config/rollback.ts";
import { DomainError } from "../lib/errors.ts";
import { checkFields } from "../rpc/fields.ts";
import { type Caller, type Service, service } from "../rpc/handler.ts";
import { paginate } from "../rpc/page-token.ts";
import type { Store } from "../store/store.ts";
import type { Document } from "../text/document.ts";
import { messageOf, unanswered } from "./applied.ts";
import { checkRequest } from "./check-request.ts";
import { readDocument, readReplacement, replacementEdit } from "./configuration-document.ts";
import { contentOf, getRevision, listRevisions, revisionNumber } from "./configuration-history.ts";
import { getResource, listPage } from "./configuration-reads.ts";
import {
  answerOf,
  baseRevision,
  batch,
  resourceAfter,
  single,
  type WriteAnswer,
  type WriteRequest,
  type WriteTools,
  write,
} from "./configuration-writes.ts";
import type { FirstAnswers, Keep } from "./first-answers.ts";
import { keeping, repeatable } from "./repeatable.ts";
import { userOf } from "./staged-write.ts";
import { IDLE_MS } from "./transaction-limits.ts";
import { unifiedDiff } from "./unified-diff.ts";

/** What the service is built from. */
export interface ConfigurationOptions extends WriteTools {
  readonly store: Store;
  readonly answers: FirstAnswers;
  /** What can be done here, at this moment. */
  readonly capabilities: () => MessageInitShape<typeof GetCapabilitiesResponseSchema>;
}

/** `haplane.v1.Configuration` over the commit. */
export function configurationService(options: ConfigurationOptions): Service {
  const { commit, store, transactions, answers, capabilities, owns } = options;

  return service(Configuration, {
    async get(request, { caller }) {
      return getResource(options, request, caller);
    },

    async list(request, { caller }) {
      return listPage(options, request, caller);
    },

    async create(request, { caller }) {
      checkRequest(CreateRequestSchema, request);
      const { resource, after } = request;
      const input = single({ case: "create", value: { resource: resource!, after } });
      const answer = (written: WriteAnswer) =>
        create(CreateResponseSchema, withResource(options, written, resource!.name));
      return answers.once(
        repeatable(caller, "Create", CreateRequestSchema, request, request.options),
        CreateResponseSchema,
        async (keep) => answer(await write(options, writeRequest(caller, input, request, keep, answer))),
      );
    },

    async update(request, { caller }) {
      checkRequest(UpdateRequestSchema, request);
      const { resource, updateMask, allowMissing } = request;
      const input = single({ case: "update", value: { resource: resource!, updateMask, allowMissing } });
      const answer = (written: WriteAnswer) =>
        create(UpdateResponseSchema, withResource(options, written, resource!.name));
      return answers.once(
        repeatable(caller, "Update", UpdateRequestSchema, request, request.options),
        UpdateResponseSchema,
        async (keep) => answer(await write(options, writeRequest(caller, input, request, keep, answer))),
      );
    },

    async delete(request, { caller }) {
      checkRequest(DeleteRequestSchema, request);
      const { name, etag, allowMissing } = request;
      const input = single({ case: "delete", value: { name, etag, allowMissing } });
      const answer = ({ revision, applied, diff }: WriteAnswer) =>
        create(DeleteResponseSchema, { revision, applied, diff });
      return answers.once(
        repeatable(caller, "Delete", DeleteRequestSchema, request, request.options),
        DeleteResponseSchema,
        async (keep) => answer(await write(options, writeRequest(caller, input, request, keep, answer))),
      );
    },

    async apply(request, { caller }) {
      checkRequest(ApplyRequestSchema, request);
      const answer = (written: WriteAnswer) => {
        const { revision, applied, diff, done } = written;
        return create(ApplyResponseSchema, { changes: done.map(resourceChange), revision, applied, diff });
      };
      return answers.once(
        repeatable(caller, "Apply", ApplyRequestSchema, request, request.options),
        ApplyResponseSchema,
        async (keep) =>
          answer(await write(options, writeRequest(caller, batch(request), request, keep, answer))),
      );
    },

    async beginTransaction(request, { caller }) {
      const idleMs = checkFields((check) =>
        check.duration("idle_timeout", request.idleTimeout, IDLE_MS.default, IDLE_MS.min, IDLE_MS.max),
      );
      return { transaction: toTransaction(await transactions.begin(caller.name, idleMs)) };
    },

    async getTransaction(request) {
      const view = transactions.get(request.name);
      return { transaction: toTransaction(view), diff: unifiedDiff(view.base, view.document) };
    },

    async listTransactions(request) {
      const { items, nextPageToken } = paginate(transactions.list(), request, {
        ...{ defaultSize: 100, maxSize: 1_000 },
        key: ({ name }) => name,
      });
      return { transactions: items.map(toTransaction), nextPageToken };
    },

    async commitTransaction(request, { caller }) {
      checkRequest(CommitTransactionRequestSchema, request);
      const { name, validateOnly, message } = request;
      const answer = ({ revision, applied, diff }: OutcomeAnswer) =>
        create(CommitTransactionResponseSchema, { revision, applied, diff });
      return answers.once(
        repeatable(caller, "CommitTransaction", CommitTransactionRequestSchema, request),
        CommitTransactionResponseSchema,
        async (keep) => {
          const how = {
            validateOnly,
            message,
            ...baseRevision(request.baseRevision),
            ...early(keep, answer),
          };
          return answer(answerOf(await transactions.commit(name, userOf(caller), how), validateOnly));
        },
      );
    },

    async abortTransaction(request, { caller }) {
      await transactions.abort(request.name, userOf(caller));
      return {};
    },

    async getVersion() {
      return { revision: BigInt(commit.revision) };
    },

    readDocument: (request) => readDocument(commit, store, request),

    async replaceDocument(requests, { caller }) {
      const replacement = await readReplacement(requests);
      const { header, bytes } = replacement;
      checkRequest(ReplaceDocumentHeaderSchema, header);
      const { validateOnly } = header;
      const answer = ({ revision, applied, diff }: OutcomeAnswer) =>
        create(ReplaceDocumentResponseSchema, { revision, applied, diff });
      return answers.once(
        {
          ...repeatable(caller, "ReplaceDocument", ReplaceDocumentHeaderSchema, header),
          further: bytes,
        },
        ReplaceDocumentResponseSchema,
        async (keep) => {
          const before = commit.document;
          const edit = replacementEdit(before, replacement, caller.name, early(keep, answer));
          try {
            const outcome = await commit.change({
              ...{ edit, validateOnly, check: true },
              ...baseRevision(header.baseRevision),
            });
            return answer(answerOf(outcome, validateOnly));
          } catch (error) {
            if (!validateOnly || !(error instanceof DomainError) || error.reason !== "CONFIGURATION_REFUSED")
              throw error;
            return create(ReplaceDocumentResponseSchema, {
              revision: BigInt(commit.revision),
              diff: unifiedDiff(before, edit.apply(before)),
              alerts: error.alerts.map(messageOf),
            });
          }
        },
      );
    },

    async listRevisions(request) {
      return listRevisions(store, request);
    },

    async getRevision(request) {
      return getRevision(store, request.name);
    },

    async rollback(request, { caller }) {
      checkRequest(RollbackRequestSchema, request);
      const { validateOnly } = request;
      const answer = ({ revision, applied, diff }: OutcomeAnswer) =>
        create(RollbackResponseSchema, { revision, applied, diff });
      return answers.once(
        repeatable(caller, "Rollback", RollbackRequestSchema, request),
        RollbackResponseSchema,
        async (keep) => {
          const content = await contentOf(store, revisionNumber(request.name));
          let names: string[] = [];
          const outcome = await commit.change({
            check: true,
            edit: {
              apply(document) {
                const result = rolledBack(withContent(document, content), document, owns);
                names = changedNames(document, result);
                return result;
              },
              get resources() {
                return names;
              },
              author: caller.name,
              message: `rolls back to ${request.name}`,
              servers: [],
              ...early(keep, answer),
            },
            validateOnly,
            ...baseRevision(request.baseRevision),
          });
          return answer(answerOf(outcome, validateOnly));
        },
      );
    },

    async getCapabilities() {
      return capabilities();
    },
  });
}

/** What a method answers of its commit's outcome. */
type OutcomeAnswer = ReturnType<typeof unanswered>;

function writeRequest<O extends DescMessage>(
  caller: Caller,
  input: ApplyInput,
  { options, message = "" }: { readonly options?: WriteOptions | undefined; readonly message?: string },
  keep: Keep<O>,
  answer: (written: WriteAnswer) => MessageShape<O>,
): WriteRequest {
  return { caller, input, options, message, along: keeping(keep, answer) };
}

/** What an edit keeps along with its revision, where its answer is to be kept: the one that can be given by then. */
function early<O extends DescMessage>(
  keep: Keep<O>,
  answer: (outcome: OutcomeAnswer) => MessageShape<O>,
): Pick<Edit, "along"> {
  return keep === undefined ? {} : { along: keep((revision) => answer(unanswered(revision))) };
}

function withResource(tools: WriteTools, answer: WriteAnswer, name: string) {
  const { revision, applied, diff } = answer;
  const resource = resourceAfter(tools, answer, name);
  return { revision, applied, diff, ...(resource !== undefined && { resource }) };
}

const TYPES = {
  created: ResourceChange_Type.CREATED,
  updated: ResourceChange_Type.UPDATED,
  deleted: ResourceChange_Type.DELETED,
};

function resourceChange({ type, name, etag }: Made): MessageInitShape<typeof ResourceChangeSchema> {
  return { name, type: TYPES[type], etag };
}

function toTransaction(view: TransactionView<Document>): MessageInitShape<typeof TransactionSchema> {
  return {
    ...{ name: view.name, owner: view.owner, writes: view.writes },
    createTime: timestampFromMs(view.createTime),
    expireTime: timestampFromMs(view.expireTime),
    baseRevision: BigInt(view.baseRevision),
    resources: [...view.resources],
    conflicts: [...view.conflicts],
  };
}
