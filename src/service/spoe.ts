import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ResourceChange_Type, type ResourceChangeSchema } from "../../gen/haplane/v1/configuration_pb.js";
import {
  Spoe,
  SpoeApplyRequestSchema,
  SpoeApplyResponseSchema,
  SpoeBeginTransactionRequestSchema,
  SpoeCommitTransactionRequestSchema,
  SpoeCommitTransactionResponseSchema,
  SpoeCreateRequestSchema,
  SpoeCreateResponseSchema,
  SpoeDeleteRequestSchema,
  SpoeDeleteResponseSchema,
  type SpoeDownloadFileRequest,
  type SpoeDownloadFileResponseSchema,
  type SpoeFileSchema,
  type SpoeTransactionSchema,
  SpoeUpdateRequestSchema,
  SpoeUpdateResponseSchema,
  SpoeUploadFileHeaderSchema,
  type SpoeWriteOptions,
} from "../../gen/haplane/v1/spoe_pb.js";
import type { TransactionView } from "../commit/transactions.ts";
import type { Done } from "../config/apply-changes.ts";
import type { FileReference } from "../config/file-references.ts";
import { formatName } from "../config/name.ts";
import { DomainError } from "../lib/errors.ts";
import { checkFields } from "../rpc/fields.ts";
import { type Caller, type Service, service } from "../rpc/handler.ts";
import { paginate } from "../rpc/page-token.ts";
import { fingerprintSpoe, getSpoe, listInScope, listScopes } from "../spoe/read-spoe.ts";
import { printSpoeFile, type SpoeFile, scopesOf } from "../spoe/spoe-file.ts";
import type { StoredSpoeFile } from "../spoe/spoe-files.ts";
import { fileOfTransaction, readFileName, readSpoeName, readSpoeParent } from "../spoe/spoe-name.ts";
import { checkRequest } from "./check-request.ts";
import { userOf } from "./configuration-writes.ts";
import type { SpoeTools } from "./open-spoe.ts";
import { readSpoeUpload } from "./spoe-upload.ts";
import {
  baseVersion,
  batchOf,
  type SpoeAnswer,
  singleChange,
  spoeAnswer,
  spoeDiff,
  writeSpoe,
} from "./spoe-writes.ts";
import { IDLE_MS } from "./transaction-limits.ts";

const PAGE = { defaultSize: 100, maxSize: 1_000 };
const PIECE_BYTES = 65_536;

/** `haplane.v1.Spoe` over the SPOE files. */
export function spoeService(tools: SpoeTools): Service {
  const { files, transactions, answers, context } = tools;

  return service(Spoe, {
    async uploadFile(requests, { caller }) {
      const { header, bytes } = await readSpoeUpload(requests);
      checkRequest(SpoeUploadFileHeaderSchema, header);
      const { storageName: name, etag, createOnly, validateOnly } = header;
      const outcome = await files.upload({
        ...{ name, bytes, etag, createOnly, validateOnly, author: caller.name },
        message: () => `stores ${formatName("spoe", name)}`,
      });
      const stored = await files.find(name);
      return {
        ...(stored && { file: toFiles(tools, [stored])[0]! }),
        applied: spoeAnswer(outcome, false).applied,
      };
    },

    downloadFile: (request, { caller }) => download(tools, request, caller),

    async getFile({ name }) {
      return { file: toFiles(tools, [await files.get(readFileName(name, "name"))])[0]! };
    },

    async listFiles(request) {
      const { items, nextPageToken } = paginate(await files.list(), request, {
        ...PAGE,
        key: ({ facts }) => facts.name,
      });
      return { files: toFiles(tools, items), nextPageToken };
    },

    async deleteFile({ name, etag, allowMissing }, { caller }) {
      const request = { author: caller.name, message: () => `removes ${name}`, validateOnly: false };
      await missingIsFine(allowMissing, () => files.remove(readFileName(name, "name"), etag, request));
      return {};
    },

    async get({ name, transaction }, { caller }) {
      const { file, version } = await read(tools, readSpoeName(name, "name").file, transaction, caller);
      return { resource: getSpoe(file, name, "name", context().etags), version: BigInt(version) };
    },

    async list(request, { caller }) {
      const { file: name, scope, collection } = readSpoeParent(request.parent, "parent");
      const { file, version } = await read(tools, name, request.transaction, caller);
      const { etags } = context();
      const all = scope === "" ? listScopes(file, etags) : listInScope(file, scope, collection, etags);
      const keyed = all.map((resource, index) => ({ resource, key: `${index} ${resource.name}` }));
      const { items, nextPageToken } = paginate(keyed, request, { ...PAGE, key: ({ key }) => key });
      return { resources: items.map(({ resource }) => resource), nextPageToken, version: BigInt(version) };
    },

    async create(request, { caller }) {
      checkRequest(SpoeCreateRequestSchema, request);
      const { resource, after, options } = request;
      const repeatable = {
        ...once(caller, "Spoe.Create", options),
        schema: SpoeCreateRequestSchema,
        request,
      };
      return answers.once(repeatable, SpoeCreateResponseSchema, async () => {
        const input = singleChange({ case: "create", value: { resource: resource!, after } });
        const { file } = readSpoeName(resource!.name, "resource.name");
        const answer = await writeSpoe(tools, caller, file, input, options);
        return create(SpoeCreateResponseSchema, withResource(tools, answer, resource!.name));
      });
    },

    async update(request, { caller }) {
      checkRequest(SpoeUpdateRequestSchema, request);
      const { resource, updateMask, allowMissing, options } = request;
      const repeatable = {
        ...once(caller, "Spoe.Update", options),
        schema: SpoeUpdateRequestSchema,
        request,
      };
      return answers.once(repeatable, SpoeUpdateResponseSchema, async () => {
        const input = singleChange({
          case: "update",
          value: { resource: resource!, updateMask, allowMissing },
        });
        const { file } = readSpoeName(resource!.name, "resource.name");
        const answer = await writeSpoe(tools, caller, file, input, options);
        return create(SpoeUpdateResponseSchema, withResource(tools, answer, resource!.name));
      });
    },

    async delete(request, { caller }) {
      checkRequest(SpoeDeleteRequestSchema, request);
      const { name, etag, allowMissing, options } = request;
      const repeatable = {
        ...once(caller, "Spoe.Delete", options),
        schema: SpoeDeleteRequestSchema,
        request,
      };
      return answers.once(repeatable, SpoeDeleteResponseSchema, async () => {
        const input = singleChange({ case: "delete", value: { name, etag, allowMissing } });
        const answer = await writeSpoe(tools, caller, readSpoeName(name, "name").file, input, options);
        const { version, applied, diff } = answer;
        return create(SpoeDeleteResponseSchema, { version, applied, diff });
      });
    },

    async apply(request, { caller }) {
      checkRequest(SpoeApplyRequestSchema, request);
      const { file, changes, options } = request;
      const repeatable = { ...once(caller, "Spoe.Apply", options), schema: SpoeApplyRequestSchema, request };
      return answers.once(repeatable, SpoeApplyResponseSchema, async () => {
        const answer = await writeSpoe(tools, caller, readFileName(file, "file"), batchOf(changes), options);
        const { version, applied, diff, done } = answer;
        const did = done.map((one) => resourceChange(tools, answer.file, one));
        return create(SpoeApplyResponseSchema, { changes: did, version, applied, diff });
      });
    },

    async beginTransaction(request, { caller }) {
      checkRequest(SpoeBeginTransactionRequestSchema, request);
      const idleMs = checkFields((check) =>
        check.duration("idle_timeout", request.idleTimeout, IDLE_MS.default, IDLE_MS.min, IDLE_MS.max),
      );
      const { facts } = await files.get(readFileName(request.file, "file"));
      const own = await transactions.of(facts.name);
      return { transaction: toTransaction(await own.begin(caller.name, idleMs)) };
    },

    async getTransaction({ name }) {
      const view = (await transactions.of(fileOfTransaction(name, "name"))).get(name);
      return { transaction: toTransaction(view), diff: spoeDiff(view.base, view.document) };
    },

    async listTransactions(request) {
      const own = await transactions.of(readFileName(request.file, "file"));
      const { items, nextPageToken } = paginate(own.list(), request, { ...PAGE, key: ({ name }) => name });
      return { transactions: items.map(toTransaction), nextPageToken };
    },

    async commitTransaction(request, { caller }) {
      checkRequest(SpoeCommitTransactionRequestSchema, request);
      const { name, validateOnly } = request;
      const repeatable = {
        ...{ caller: caller.name, requestId: validateOnly ? "" : request.requestId },
        ...{ method: "Spoe.CommitTransaction", schema: SpoeCommitTransactionRequestSchema, request },
      };
      return answers.once(repeatable, SpoeCommitTransactionResponseSchema, async () => {
        const own = await transactions.of(fileOfTransaction(name, "name"));
        const base = baseVersion(request.baseVersion);
        const how = { validateOnly, message: "", ...(base !== undefined && { baseRevision: base }) };
        const { version, applied, diff } = spoeAnswer(
          await own.commit(name, userOf(caller), how),
          validateOnly,
        );
        return create(SpoeCommitTransactionResponseSchema, { version, applied, diff });
      });
    },

    async abortTransaction({ name }, { caller }) {
      await missingIsFine(true, async () => {
        await (await transactions.of(fileOfTransaction(name, "name"))).abort(name, userOf(caller));
      });
      return {};
    },
  });
}

/** Does something that may, when it is `allowed`, find nothing to be done. */
async function missingIsFine(allowed: boolean, task: () => Promise<void>): Promise<void> {
  try {
    await task();
  } catch (error) {
    const isGone = error instanceof DomainError && error.reason === "RESOURCE_NOT_FOUND";
    if (!isGone || !allowed) throw error;
  }
}

/** A file, as it is or as a transaction has it. */
async function read(
  { files, transactions }: SpoeTools,
  name: string,
  transaction: string,
  caller: Caller,
): Promise<{ readonly file: SpoeFile; readonly version: number }> {
  if (transaction === "") return files.get(name);
  if (fileOfTransaction(transaction, "transaction") !== name)
    throw new DomainError("FIELD_INVALID", "transaction must be on the same file", {
      violations: [{ field: "transaction", description: "must be on the same file" }],
    });
  const { document, baseRevision } = (await transactions.of(name)).read(transaction, userOf(caller));
  return { file: document, version: baseRevision };
}

async function* download(
  tools: SpoeTools,
  { name: text, transaction }: SpoeDownloadFileRequest,
  caller: Caller,
): AsyncGenerator<MessageInitShape<typeof SpoeDownloadFileResponseSchema>> {
  const name = readFileName(text, "name");
  const stored = await tools.files.get(name);
  const { file } = transaction === "" ? stored : await read(tools, name, transaction, caller);
  yield { part: { case: "file", value: toFiles(tools, [stored])[0]! } };
  const bytes = printSpoeFile(file);
  for (let at = 0; at < bytes.length; at += PIECE_BYTES)
    yield { part: { case: "data", value: bytes.subarray(at, at + PIECE_BYTES) } };
}

/** The id under which a write's answer is kept; one that is only tried or staged may well be answered anew. */
function once(caller: Caller, method: string, options: SpoeWriteOptions | undefined) {
  const isMade = options !== undefined && !options.validateOnly && options.transaction === "";
  return { caller: caller.name, requestId: isMade ? options.requestId : "", method };
}

function withResource({ context }: SpoeTools, { version, applied, diff, file }: SpoeAnswer, name: string) {
  return { version, applied, diff, resource: getSpoe(file, name, "resource.name", context().etags) };
}

const TYPES = {
  created: ResourceChange_Type.CREATED,
  updated: ResourceChange_Type.UPDATED,
  deleted: ResourceChange_Type.DELETED,
};

function resourceChange(
  { context }: SpoeTools,
  file: SpoeFile,
  { type, name }: Done,
): MessageInitShape<typeof ResourceChangeSchema> {
  return { name, type: TYPES[type], etag: fingerprintSpoe(file, name, "own", context().etags) };
}

function toFiles(
  { referrers }: SpoeTools,
  stored: readonly StoredSpoeFile[],
): MessageInitShape<typeof SpoeFileSchema>[] {
  const users = referrers(stored.map(({ facts }) => facts.path));
  return stored.map((one) => toFile(one, users.get(one.facts.path)!));
}

function toFile(
  { facts, file, version }: StoredSpoeFile,
  users: readonly FileReference[],
): MessageInitShape<typeof SpoeFileSchema> {
  const { name, path, size, sha256, etag, modifyTime } = facts;
  return {
    ...{ name: formatName("spoe", name), storageName: name, path, sha256, etag },
    size: BigInt(size),
    version: BigInt(version),
    modifyTime: timestampFromMs(modifyTime),
    scopes: scopesOf(file).map(({ id }) => formatName("spoe", name, "scopes", id)),
    referrers: users.map(({ directive, file: of, line, resource }) => ({
      ...{ directive, file: of, line, resource },
    })),
  };
}

function toTransaction(view: TransactionView<SpoeFile>): MessageInitShape<typeof SpoeTransactionSchema> {
  return {
    ...{ name: view.name, owner: view.owner, writes: view.writes },
    createTime: timestampFromMs(view.createTime),
    expireTime: timestampFromMs(view.expireTime),
    baseVersion: BigInt(view.baseRevision),
    resources: [...view.resources],
    conflicts: [...view.conflicts],
  };
}
