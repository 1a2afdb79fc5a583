import { create, type MessageInitShape } from "@bufbuild/protobuf";
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
} from "../../gen/haplane/v1/configuration_pb.js";
import type { TransactionView } from "../commit/transactions.ts";
import type { Done } from "../config/apply-changes.ts";
import { changedNames } from "../config/changed-names.ts";
import { locate, readResourceId } from "../config/locate.ts";
import { rolledBack, withContent } from "../config/rollback.ts";
import { DomainError } from "../lib/errors.ts";
import { checkFields } from "../rpc/fields.ts";
import { type Service, service } from "../rpc/handler.ts";
import { paginate } from "../rpc/page-token.ts";
import type { Store } from "../store/store.ts";
import type { Document } from "../text/document.ts";
import { messageOf } from "./applied.ts";
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
  userOf,
  type WriteAnswer,
  type WriteTools,
  write,
} from "./configuration-writes.ts";
import type { FirstAnswers } from "./first-answers.ts";
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
      const repeatable = {
        ...{ caller: caller.name, requestId: repeatableId(request.options), method: "Create" },
        ...{ schema: CreateRequestSchema, request },
      };
      return answers.once(repeatable, CreateResponseSchema, async () => {
        const input = single({ case: "create", value: { resource: resource!, after } });
        const answer = await write(options, caller, input, request.options, "");
        return create(CreateResponseSchema, withResource(options, answer, resource!.name));
      });
    },

    async update(request, { caller }) {
      checkRequest(UpdateRequestSchema, request);
      const { resource, updateMask, allowMissing } = request;
      const repeatable = {
        ...{ caller: caller.name, requestId: repeatableId(request.options), method: "Update" },
        ...{ schema: UpdateRequestSchema, request },
      };
      return answers.once(repeatable, UpdateResponseSchema, async () => {
        const input = single({ case: "update", value: { resource: resource!, updateMask, allowMissing } });
        const answer = await write(options, caller, input, request.options, "");
        return create(UpdateResponseSchema, withResource(options, answer, resource!.name));
      });
    },

    async delete(request, { caller }) {
      checkRequest(DeleteRequestSchema, request);
      const { name, etag, allowMissing } = request;
      const repeatable = {
        ...{ caller: caller.name, requestId: repeatableId(request.options), method: "Delete" },
        ...{ schema: DeleteRequestSchema, request },
      };
      return answers.once(repeatable, DeleteResponseSchema, async () => {
        const input = single({ case: "delete", value: { name, etag, allowMissing } });
        const { revision, applied, diff } = await write(options, caller, input, request.options, "");
        return create(DeleteResponseSchema, { revision, applied, diff });
      });
    },

    async apply(request, { caller }) {
      checkRequest(ApplyRequestSchema, request);
      const repeatable = {
        ...{ caller: caller.name, requestId: repeatableId(request.options), method: "Apply" },
        ...{ schema: ApplyRequestSchema, request },
      };
      return answers.once(repeatable, ApplyResponseSchema, async () => {
        const answer = await write(options, caller, batch(request), request.options, request.message);
        const { revision, applied, diff, done } = answer;
        const changes = done.map((one) => resourceChange(options, answer, one));
        return create(ApplyResponseSchema, { changes, revision, applied, diff });
      });
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
      const repeatable = {
        ...{
          caller: caller.name,
          requestId: validateOnly ? "" : request.requestId,
          method: "CommitTransaction",
        },
        ...{ schema: CommitTransactionRequestSchema, request },
      };
      return answers.once(repeatable, CommitTransactionResponseSchema, async () => {
        const how = { validateOnly, message, ...baseRevision(request.baseRevision) };
        const outcome = await transactions.commit(name, userOf(caller), how);
        const { revision, applied, diff } = answerOf(outcome, validateOnly);
        return create(CommitTransactionResponseSchema, { revision, applied, diff });
      });
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
      const repeatable = {
        ...{
          caller: caller.name,
          requestId: validateOnly ? "" : header.requestId,
          method: "ReplaceDocument",
        },
        ...{ schema: ReplaceDocumentHeaderSchema, request: header, further: bytes },
      };
      return answers.once(repeatable, ReplaceDocumentResponseSchema, async () => {
        const before = commit.document;
        const edit = replacementEdit(before, replacement, caller.name);
        try {
          const outcome = await commit.change({
            ...{ edit, validateOnly, check: true },
            ...baseRevision(header.baseRevision),
          });
          const { revision, applied, diff } = answerOf(outcome, validateOnly);
          return create(ReplaceDocumentResponseSchema, { revision, applied, diff });
        } catch (error) {
          if (!validateOnly || !(error instanceof DomainError) || error.reason !== "CONFIGURATION_REFUSED")
            throw error;
          return create(ReplaceDocumentResponseSchema, {
            revision: BigInt(commit.revision),
            diff: unifiedDiff(before, edit.apply(before)),
            alerts: error.alerts.map(messageOf),
          });
        }
      });
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
      const repeatable = {
        ...{ caller: caller.name, requestId: validateOnly ? "" : request.requestId, method: "Rollback" },
        ...{ schema: RollbackRequestSchema, request },
      };
      return answers.once(repeatable, RollbackResponseSchema, async () => {
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
          },
          validateOnly,
          ...baseRevision(request.baseRevision),
        });
        const { revision, applied, diff } = answerOf(outcome, validateOnly);
        return create(RollbackResponseSchema, { revision, applied, diff });
      });
    },

    async getCapabilities() {
      return capabilities();
    },
  });
}

/** The id under which a write's answer is kept; one that is only tried or staged may well be answered anew. */
function repeatableId(
  options:
    | { readonly requestId: string; readonly validateOnly: boolean; readonly transaction: string }
    | undefined,
): string {
  return options === undefined || options.validateOnly || options.transaction !== "" ? "" : options.requestId;
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

function resourceChange(
  { context }: WriteTools,
  { document }: WriteAnswer,
  { type, name }: Done,
): MessageInitShape<typeof ResourceChangeSchema> {
  const located = type === "deleted" ? undefined : locate(document, readResourceId(name, "name"));
  return { name, type: TYPES[type], etag: located === undefined ? "" : context().etags.of(located) };
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
