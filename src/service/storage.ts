import { create, type DescMessage, type Message, type MessageShape } from "@bufbuild/protobuf";
import type { Applied } from "../../gen/haplane/v1/configuration_pb.js";
import {
  AddMapEntryRequestSchema,
  AddMapEntryResponseSchema,
  type ApplyMode,
  type DeleteFileRequest,
  DeleteFileRequestSchema,
  DeleteFileResponseSchema,
  DeleteMapEntryRequestSchema,
  DeleteMapEntryResponseSchema,
  type ListFilesRequest,
  type PutFileRequest,
  PutFileRequestSchema,
  PutFileResponseSchema,
  SetMapEntryRequestSchema,
  SetMapEntryResponseSchema,
  Storage as StorageDesc,
  type UploadFileHeader,
  UploadFileHeaderSchema,
  UploadFileResponseSchema,
} from "../../gen/haplane/v1/storage_pb.js";
import { DomainError } from "../lib/errors.ts";
import { type Caller, naming, type Service, service } from "../rpc/handler.ts";
import { paginate } from "../rpc/page-token.ts";
import type { EntryEdit } from "../storage/edit-patterns.ts";
import type { PatternEntries } from "../storage/pattern-entries.ts";
import type { Storage } from "../storage/storage.ts";
import type { Stored, StoreRequest } from "../storage/stored-file.ts";
import { appliedOf } from "./applied.ts";
import { checkRequest } from "./check-request.ts";
import { downloadFile } from "./download.ts";
import { toFile } from "./file-message.ts";
import type { FirstAnswers } from "./first-answers.ts";
import { entriesFileOf, entryOf, keyOf, listMapEntries, readEntries } from "./map-entries.ts";
import { repeatable } from "./repeatable.ts";
import { numberOf } from "./size.ts";
import { fileOf, kindOf, kindOfParent, modeOf, nameOfNewFile } from "./storage-kinds.ts";
import { checkSha256, readUpload } from "./upload.ts";

/** What every write answers with. */
type Write = Message & { applied?: Applied | undefined };

/** `haplane.v1.Storage` over the stored files. */
export function storageService(storage: Storage, patterns: PatternEntries, answers: FirstAnswers): Service {
  /** Makes a write unless it was made before, for a request with the same id. */
  const once = <I extends DescMessage, O extends DescMessage>(
    [caller, method, schema, request]: readonly [Caller, string, I, MessageShape<I>],
    output: O,
    write: () => Promise<MessageShape<O> & Write>,
  ) => {
    checkRequest(schema, request);
    return answers.once(repeatable(caller, `Storage.${method}`, schema, request), output, write);
  };
  const editEntry = async (
    { name: author }: Caller,
    { parent, etag, apply }: { readonly parent: string; readonly etag: string; readonly apply: ApplyMode },
    edit: EntryEdit,
  ) => {
    const { kind, name } = entriesFileOf(parent, "parent");
    return answerOf(await patterns.edit(kind, name, edit, { etag, apply: modeOf(apply, "apply"), author }));
  };

  return service(
    StorageDesc,
    {
      async uploadFile(requests, { caller }) {
        const { header, pieces, checksum } = await readUpload(requests);
        const size = header.size === undefined ? undefined : numberOf(header.size);
        const wanted = storeRequest(header, caller, size, "header.");
        const again = [caller, "UploadFile", UploadFileHeaderSchema, header] as const;
        return once(again, UploadFileResponseSchema, async () =>
          create(UploadFileResponseSchema, answerOf(await storage.store(wanted, pieces, checksum))),
        );
      },

      async putFile(request, { caller }) {
        const { data, sha256 } = request;
        if (sha256 !== "") checkSha256(sha256, "sha256");
        const checksum = () => (sha256 === "" ? undefined : sha256);
        const wanted = storeRequest(request, caller, data.length, "");
        return once([caller, "PutFile", PutFileRequestSchema, request], PutFileResponseSchema, async () =>
          create(PutFileResponseSchema, answerOf(await storage.store(wanted, wholly(data), checksum))),
        );
      },

      downloadFile: (request) => downloadFile(storage, request),

      async getFile({ name }) {
        const file = fileOf(name, "name");
        return { file: toFile(await storage.get(file.kind, file.name)) };
      },

      listFiles: (request) => listFiles(storage, request),

      async deleteFile(request, { caller }) {
        const again = [caller, "DeleteFile", DeleteFileRequestSchema, request] as const;
        return once(again, DeleteFileResponseSchema, async () =>
          create(DeleteFileResponseSchema, { applied: await deleteFile(storage, request, caller) }),
        );
      },

      listMapEntries: (request) => listMapEntries(patterns, request),

      async addMapEntry(request, { caller }) {
        const edit = { kind: "add", entry: entryOf(request.entry) } as const;
        const again = [caller, "AddMapEntry", AddMapEntryRequestSchema, request] as const;
        return once(again, AddMapEntryResponseSchema, async () =>
          create(AddMapEntryResponseSchema, await editEntry(caller, request, edit)),
        );
      },

      async setMapEntry(request, { caller }) {
        const { entry, allowMissing } = request;
        const edit = { kind: "set", entry: entryOf(entry), allowMissing } as const;
        const again = [caller, "SetMapEntry", SetMapEntryRequestSchema, request] as const;
        return once(again, SetMapEntryResponseSchema, async () =>
          create(SetMapEntryResponseSchema, await editEntry(caller, request, edit)),
        );
      },

      async deleteMapEntry(request, { caller }) {
        const edit = { kind: "delete", key: keyOf(request.key, "key") } as const;
        const again = [caller, "DeleteMapEntry", DeleteMapEntryRequestSchema, request] as const;
        return once(again, DeleteMapEntryResponseSchema, async () =>
          create(DeleteMapEntryResponseSchema, await editEntry(caller, request, edit)),
        );
      },

      async replaceMapEntries(requests, { caller }) {
        const { header, entries } = await readEntries(requests);
        const { kind, name } = entriesFileOf(header.parent, "header.parent");
        const how = { etag: header.etag, apply: modeOf(header.apply, "header.apply"), author: caller.name };
        return answerOf(await patterns.replace(kind, name, entries, how));
      },
    },
    [naming(UploadFileHeaderSchema, nameOfNewFile), naming(PutFileRequestSchema, nameOfNewFile)],
  );
}

function storeRequest(
  { kind, storageName, etag, createOnly, apply }: UploadFileHeader | PutFileRequest,
  { name: author }: Caller,
  size: number | undefined,
  prefix: string,
): StoreRequest {
  return {
    kind: kindOf(kind, `${prefix}kind`),
    name: storageName,
    ...{ size, etag, createOnly, author },
    apply: modeOf(apply, `${prefix}apply`),
  };
}

function answerOf({ file, applied }: Stored) {
  return { file: toFile(file), applied: appliedOf({ ...applied, warnings: [] }) };
}

async function* wholly(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield data;
}

async function listFiles(storage: Storage, request: ListFilesRequest) {
  const files = await storage.list(kindOfParent(request.parent, "parent"));
  const { items, nextPageToken } = paginate(files, request, {
    ...{ defaultSize: 100, maxSize: 1_000 },
    key: ({ kind, facts }) => `${kind}/${facts.name}`,
  });
  return { files: (await storage.describe(items)).map(toFile), nextPageToken };
}

async function deleteFile(storage: Storage, request: DeleteFileRequest, { name: author }: Caller) {
  const { kind, name } = fileOf(request.name, "name");
  const { etag, force } = request;
  try {
    const apply = modeOf(request.apply, "apply");
    return appliedOf({ ...(await storage.delete(kind, name, { etag, force, apply, author })), warnings: [] });
  } catch (error) {
    const isGone = error instanceof DomainError && error.reason === "RESOURCE_NOT_FOUND";
    if (!isGone || !request.allowMissing) throw error;
    return appliedOf({ ...NOTHING, reasons: ["there was no such file"] });
  }
}

const NOTHING = { via: "none", commands: [], reload: undefined, tookMs: 0, warnings: [] } as const;
