import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ResourceChange_Type, type ResourceChangeSchema } from "../../gen/haplane/v1/configuration_pb.js";
import type { SpoeFileSchema, SpoeTransactionSchema } from "../../gen/haplane/v1/spoe_pb.js";
import type { TransactionView } from "../commit/open-transaction.ts";
import type { Done } from "../config/apply-changes.ts";
import type { FileReference } from "../config/file-references.ts";
import { formatName } from "../config/name.ts";
import { fileName } from "../spoe/file-errors.ts";
import { fingerprintSpoe } from "../spoe/read-spoe.ts";
import { type SpoeFile, scopesOf } from "../spoe/spoe-file.ts";
import type { StoredSpoeFile } from "../spoe/spoe-files.ts";
import type { SpoeTools } from "./open-spoe.ts";

/** Files in the API's words. */
export function toFiles(
  { referrers }: Pick<SpoeTools, "referrers">,
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
    ...{ name: fileName(name), storageName: name, path, sha256, etag },
    size: BigInt(size),
    version: BigInt(version),
    modifyTime: timestampFromMs(modifyTime),
    scopes: scopesOf(file).map(({ id }) => formatName("spoe", name, "scopes", id)),
    referrers: users.map(({ directive, file: of, line, resource }) => ({
      ...{ directive, file: of, line, resource },
    })),
  };
}

/** A transaction in the API's words. */
export function toTransaction(
  view: TransactionView<SpoeFile>,
): MessageInitShape<typeof SpoeTransactionSchema> {
  return {
    ...{ name: view.name, owner: view.owner, writes: view.writes },
    createTime: timestampFromMs(view.createTime),
    expireTime: timestampFromMs(view.expireTime),
    baseVersion: BigInt(view.baseRevision),
    resources: [...view.resources],
    conflicts: [...view.conflicts],
  };
}

const TYPES = {
  created: ResourceChange_Type.CREATED,
  updated: ResourceChange_Type.UPDATED,
  deleted: ResourceChange_Type.DELETED,
};

/** What was done to a resource, in the API's words. */
export function resourceChange(
  { context }: Pick<SpoeTools, "context">,
  file: SpoeFile,
  { type, name }: Done,
): MessageInitShape<typeof ResourceChangeSchema> {
  return { name, type: TYPES[type], etag: fingerprintSpoe(file, name, "own", context().etags) };
}
