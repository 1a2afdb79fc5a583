import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
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
  SpoeRollbackRequestSchema,
  SpoeRollbackResponseSchema,
  SpoeUpdateRequestSchema,
  SpoeUpdateResponseSchema,
  SpoeUploadFileHeaderSchema,
  SpoeUploadFileResponseSchema,
} from "../../gen/haplane/v1/spoe_pb.js";
import { DomainError } from "../lib/errors.ts";
import { checkFields } from "../rpc/fields.ts";
import { naming, type Service, service } from "../rpc/handler.ts";
import { paginate } from "../rpc/page-token.ts";
import { fileName } from "../spoe/file-errors.ts";
import { getSpoe } from "../spoe/read-spoe.ts";
import { fileOfTransaction, readFileName, readSpoeName } from "../spoe/spoe-name.ts";
import { checkRequest } from "./check-request.ts";
import type { Write } from "./first-answers.ts";
import type { SpoeTools } from "./open-spoe.ts";
import { keeping, repeatable } from "./repeatable.ts";
import { resourceChange, toFiles, toTransaction } from "./spoe-messages.ts";
import { download, listPage, PAGE, readFile } from "./spoe-reads.ts";
import { readSpoeUpload } from "./spoe-upload.ts";
import { contentOfVersion, getSpoeVersion, listSpoeVersions } from "./spoe-versions.ts";
import {
  baseVersion,
  batchOf,
  committed,
  notAnswered,
  type SpoeAnswer,
  type SpoeCommitted,
  type SpoeWrite,
  singleChange,
  spoeDiff,
  writeSpoe,
} from "./spoe-writes.ts";
import { userOf } from "./staged-write.ts";
import { IDLE_MS } from "./transaction-limits.ts";

/** `haplane.v1.Spoe` over the SPOE files. */
export function spoeService(tools: SpoeTools): Service {
  const { files, transactions, answers, context, versions } = tools;

  /** Answers a write of resources, which may come again. */
  const write = <D extends DescMessage, O extends DescMessage>(
    method: string,
    [schema, request]: readonly [D, MessageShape<D> & Partial<Pick<SpoeWrite, "options">>],
    output: O,
    {
      answer,
      ...wanted
    }: Omit<SpoeWrite, "options" | "along"> & {
      answer(written: SpoeAnswer): MessageShape<O> & Write;
    },
  ) => {
    const { options } = request;
    const again = repeatable(wanted.caller, `Spoe.${method}`, schema, request, options);
    return answers.once(again, output, async (keep) =>
      answer(await writeSpoe(tools, { ...wanted, options, along: keeping(keep, answer) })),
    );
  };
  const withResource = ({ version, applied, diff, file }: SpoeAnswer, name: string) => ({
    ...{ version, applied, diff },
    resource: getSpoe(file, name, "resource.name", context().etags),
  });

  return service(
    Spoe,
    {
      async uploadFile(requests, { caller }) {
        const { header, bytes } = await readSpoeUpload(requests);
        checkRequest(SpoeUploadFileHeaderSchema, header);
        const { storageName: name, etag, createOnly, validateOnly, message } = header;
        const again = repeatable(caller, "Spoe.UploadFile", SpoeUploadFileHeaderSchema, header);
        return answers.once({ ...again, further: bytes }, SpoeUploadFileResponseSchema, async (keep) => {
          const along = keeping(keep, ({ applied }: SpoeCommitted) =>
            create(SpoeUploadFileResponseSchema, { applied }),
          );
          const outcome = await files.upload({
            ...{ name, bytes, etag, createOnly, validateOnly, author: caller.name },
            message: () => (message === "" ? `stores ${fileName(name)}` : message),
            along: along && ((made) => along((revision) => notAnswered(made, revision))),
          });
          const stored = await files.find(name);
          const { applied } = committed(outcome, validateOnly);
          return create(SpoeUploadFileResponseSchema, {
            ...{ applied, ...(stored && { file: toFiles(tools, [stored])[0]! }) },
          });
        });
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

      listVersions: (request) => listSpoeVersions(tools, request),

      getVersion: ({ name }) => getSpoeVersion({ versions }, name),

      async rollback(request, { caller }) {
        checkRequest(SpoeRollbackRequestSchema, request);
        const { validateOnly } = request;
        const answer = (made: SpoeCommitted) => create(SpoeRollbackResponseSchema, made);
        const again = repeatable(caller, "Spoe.Rollback", SpoeRollbackRequestSchema, request);
        return answers.once(again, SpoeRollbackResponseSchema, async (keep) => {
          const { file, version, content } = await contentOfVersion(tools, request.name);
          const along = keeping(keep, answer);
          const outcome = await files.upload({
            ...{ name: file, bytes: content, etag: "", createOnly: false, validateOnly, author: caller.name },
            baseVersion: baseVersion(request.baseVersion),
            message: () => `makes ${fileName(file)} what it was in version ${version.number}`,
            along: along && ((made) => along((revision) => notAnswered(made, revision))),
          });
          return answer(committed(outcome, validateOnly));
        });
      },

      async get({ name, transaction }, { caller }) {
        const { file, version } = await readFile(tools, readSpoeName(name, "name").file, transaction, caller);
        return { resource: getSpoe(file, name, "name", context().etags), version: BigInt(version) };
      },

      list: (request, { caller }) => listPage(tools, request, caller),

      async create(request, { caller }) {
        checkRequest(SpoeCreateRequestSchema, request);
        const { resource, after } = request;
        return write("Create", [SpoeCreateRequestSchema, request], SpoeCreateResponseSchema, {
          ...{ caller, message: "", name: readSpoeName(resource!.name, "resource.name").file },
          input: singleChange({ case: "create", value: { resource: resource!, after } }),
          answer: (written) => create(SpoeCreateResponseSchema, withResource(written, resource!.name)),
        });
      },

      async update(request, { caller }) {
        checkRequest(SpoeUpdateRequestSchema, request);
        const { resource, updateMask, allowMissing } = request;
        return write("Update", [SpoeUpdateRequestSchema, request], SpoeUpdateResponseSchema, {
          ...{ caller, message: "", name: readSpoeName(resource!.name, "resource.name").file },
          input: singleChange({ case: "update", value: { resource: resource!, updateMask, allowMissing } }),
          answer: (written) => create(SpoeUpdateResponseSchema, withResource(written, resource!.name)),
        });
      },

      async delete(request, { caller }) {
        checkRequest(SpoeDeleteRequestSchema, request);
        const { name, etag, allowMissing } = request;
        return write("Delete", [SpoeDeleteRequestSchema, request], SpoeDeleteResponseSchema, {
          ...{ caller, message: "", name: readSpoeName(name, "name").file },
          input: singleChange({ case: "delete", value: { name, etag, allowMissing } }),
          answer: ({ version, applied, diff }) =>
            create(SpoeDeleteResponseSchema, { version, applied, diff }),
        });
      },

      async apply(request, { caller }) {
        checkRequest(SpoeApplyRequestSchema, request);
        return write("Apply", [SpoeApplyRequestSchema, request], SpoeApplyResponseSchema, {
          ...{ caller, message: request.message, name: readFileName(request.file, "file") },
          input: batchOf(request),
          answer: ({ version, applied, diff, done, file }) =>
            create(SpoeApplyResponseSchema, {
              ...{ changes: done.map((one) => resourceChange(tools, file, one)), version, applied, diff },
            }),
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
        const { name, validateOnly, message } = request;
        const answer = (made: SpoeCommitted) => create(SpoeCommitTransactionResponseSchema, made);
        const again = repeatable(
          ...([caller, "Spoe.CommitTransaction", SpoeCommitTransactionRequestSchema, request] as const),
        );
        return answers.once(again, SpoeCommitTransactionResponseSchema, async (keep) => {
          const file = fileOfTransaction(name, "name");
          const own = await transactions.of(file);
          const base = baseVersion(request.baseVersion);
          const along = keeping(
            keep,
            answer,
          )?.((revision) => {
            const version = transactions.making(file)?.version ?? 0;
            return notAnswered({ version }, revision);
          });
          const how = {
            ...{ validateOnly, message },
            ...(base !== undefined && { baseRevision: base }),
            ...(along && { along }),
          };
          return answer(committed(await own.commit(name, userOf(caller), how), validateOnly));
        });
      },

      async abortTransaction({ name }, { caller }) {
        await missingIsFine(true, async () => {
          await (await transactions.of(fileOfTransaction(name, "name"))).abort(name, userOf(caller));
        });
        return {};
      },
    },
    [naming(SpoeUploadFileHeaderSchema, ({ storageName }) => fileName(storageName))],
  );
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
