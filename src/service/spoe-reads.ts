import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type {
  SpoeDownloadFileRequest,
  SpoeDownloadFileResponseSchema,
  SpoeListRequest,
} from "../../gen/haplane/v1/spoe_pb.js";
import { fieldsInvalid } from "../rpc/fields.ts";
import type { Caller } from "../rpc/handler.ts";
import { paginate } from "../rpc/page-token.ts";
import { fileName } from "../spoe/file-errors.ts";
import { listInScope, listScopes } from "../spoe/read-spoe.ts";
import { printSpoeFile, type SpoeFile } from "../spoe/spoe-file.ts";
import { isVersionName, readFileName, readSpoeParent } from "../spoe/spoe-name.ts";
import type { SpoeTools } from "./open-spoe.ts";
import { toFiles } from "./spoe-messages.ts";
import { contentOfVersion } from "./spoe-versions.ts";
import { requireSameFile } from "./spoe-writes.ts";
import { userOf } from "./staged-write.ts";

/** The pages of lists. */
export const PAGE = { defaultSize: 100, maxSize: 1_000 };

const PIECE_BYTES = 65_536;

/** A file, as it is or as a transaction has it. */
export async function readFile(
  { files, transactions }: SpoeTools,
  name: string,
  transaction: string,
  caller: Caller,
): Promise<{ readonly file: SpoeFile; readonly version: number }> {
  if (transaction === "") return files.get(name);
  requireSameFile(transaction, name, "transaction");
  const { document, baseRevision } = (await transactions.of(name)).read(transaction, userOf(caller));
  return { file: document, version: baseRevision };
}

/** A page of resources. */
export async function listPage(tools: SpoeTools, request: SpoeListRequest, caller: Caller) {
  const { file: name, scope, collection } = readSpoeParent(request.parent, "parent");
  const { file, version } = await readFile(tools, name, request.transaction, caller);
  const { etags } = tools.context();
  const all = scope === "" ? listScopes(file, etags) : listInScope(file, scope, collection, etags);
  const keyed = all.map((resource, index) => ({ resource, key: `${index} ${resource.name}` }));
  const { items, nextPageToken } = paginate(keyed, request, { ...PAGE, key: ({ key }) => key });
  return { resources: items.map(({ resource }) => resource), nextPageToken, version: BigInt(version) };
}

/** A file as it is, as a transaction has it, or as it was. */
export async function* download(
  tools: SpoeTools,
  { name: text, transaction }: SpoeDownloadFileRequest,
  caller: Caller,
): AsyncGenerator<MessageInitShape<typeof SpoeDownloadFileResponseSchema>> {
  if (isVersionName(text)) {
    if (transaction !== "")
      throw fieldsInvalid([{ field: "transaction", description: "must be empty with a version" }]);
    const { file, version, content } = await contentOfVersion(tools, text);
    const { number, time, sha256, size } = version;
    const known = { name: fileName(file), storageName: file, sha256, size: BigInt(size) };
    const value = { ...known, version: BigInt(number), modifyTime: timestampFromMs(time) };
    yield { part: { case: "file", value } };
    yield* pieces(content);
    return;
  }
  const name = readFileName(text, "name");
  const stored = await tools.files.get(name);
  const { file } = transaction === "" ? stored : await readFile(tools, name, transaction, caller);
  yield { part: { case: "file", value: toFiles(tools, [stored])[0]! } };
  yield* pieces(printSpoeFile(file));
}

function* pieces(bytes: Buffer) {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES)
    yield { part: { case: "data" as const, value: bytes.subarray(at, at + PIECE_BYTES) } };
}
