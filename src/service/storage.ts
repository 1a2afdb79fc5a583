import {
  type DeleteFileRequest,
  type ListFilesRequest,
  type PutFileRequest,
  Storage as StorageDesc,
  type UploadFileHeader,
} from "../../gen/haplane/v1/storage_pb.js";
import { DomainError } from "../lib/errors.ts";
import { type Caller, type Service, service } from "../rpc/handler.ts";
import { paginate } from "../rpc/page-token.ts";
import type { PatternEntries } from "../storage/pattern-entries.ts";
import type { Storage } from "../storage/storage.ts";
import type { Stored, StoreRequest } from "../storage/stored-file.ts";
import { appliedOf } from "./applied.ts";
import { downloadFile } from "./download.ts";
import { entriesFileOf, entryOf, keyOf, listMapEntries, readEntries } from "./map-entries.ts";
import { numberOf } from "./size.ts";
import { fileOf, kindOf, kindOfParent, modeOf } from "./storage-kinds.ts";
import { toFile } from "./stored-file.ts";
import { checkSha256, readUpload } from "./upload.ts";

/** `haplane.v1.Storage` over the stored files. */
export function storageService(storage: Storage, patterns: PatternEntries): Service {
  return service(StorageDesc, {
    async uploadFile(requests, { caller }) {
      const { header, pieces, checksum } = await readUpload(requests);
      const size = header.size === undefined ? undefined : numberOf(header.size);
      return answerOf(await storage.store(storeRequest(header, caller, size, "header."), pieces, checksum));
    },

    async putFile(request, { caller }) {
      const { data, sha256 } = request;
      if (sha256 !== "") checkSha256(sha256, "sha256");
      const checksum = () => (sha256 === "" ? undefined : sha256);
      return answerOf(
        await storage.store(storeRequest(request, caller, data.length, ""), once(data), checksum),
      );
    },

    downloadFile: (request) => downloadFile(storage, request),

    async getFile({ name }) {
      const file = fileOf(name, "name");
      return { file: toFile(await storage.get(file.kind, file.name)) };
    },

    listFiles: (request) => listFiles(storage, request),

    async deleteFile(request, { caller }) {
      await deleteFile(storage, request, caller);
      return {};
    },

    listMapEntries: (request) => listMapEntries(patterns, request),

    async addMapEntry({ parent, entry, etag, apply }, { caller }) {
      const { kind, name } = entriesFileOf(parent, "parent");
      const edit = { kind: "add", entry: entryOf(entry) } as const;
      return answerOf(
        await patterns.edit(kind, name, edit, { etag, apply: modeOf(apply, "apply"), author: caller.name }),
      );
    },

    async setMapEntry({ parent, entry, allowMissing, etag, apply }, { caller }) {
      const { kind, name } = entriesFileOf(parent, "parent");
      const edit = { kind: "set", entry: entryOf(entry), allowMissing } as const;
      return answerOf(
        await patterns.edit(kind, name, edit, { etag, apply: modeOf(apply, "apply"), author: caller.name }),
      );
    },

    async deleteMapEntry({ parent, key, etag, apply }, { caller }) {
      const { kind, name } = entriesFileOf(parent, "parent");
      const edit = { kind: "delete", key: keyOf(key, "key") } as const;
      return answerOf(
        await patterns.edit(kind, name, edit, { etag, apply: modeOf(apply, "apply"), author: caller.name }),
      );
    },

    async replaceMapEntries(requests, { caller }) {
      const { header, entries } = await readEntries(requests);
      const { kind, name } = entriesFileOf(header.parent, "header.parent");
      const how = { etag: header.etag, apply: modeOf(header.apply, "header.apply"), author: caller.name };
      return answerOf(await patterns.replace(kind, name, entries, how));
    },
  });
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

async function* once(data: Uint8Array): AsyncGenerator<Uint8Array> {
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

async function deleteFile(
  storage: Storage,
  request: DeleteFileRequest,
  { name: author }: Caller,
): Promise<void> {
  const { kind, name } = fileOf(request.name, "name");
  try {
    await storage.delete(kind, name, { etag: request.etag, force: request.force, author });
  } catch (error) {
    const isGone = error instanceof DomainError && error.reason === "RESOURCE_NOT_FOUND";
    if (!isGone || !request.allowMissing) throw error;
  }
}
