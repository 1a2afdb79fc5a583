import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type {
  SpoeListVersionsRequest,
  SpoeListVersionsResponseSchema,
  SpoeVersionSchema,
} from "../../gen/haplane/v1/spoe_pb.js";
import { formatName } from "../config/name.ts";
import { fieldsInvalid } from "../rpc/fields.ts";
import { readToken, writeToken } from "../rpc/page-token.ts";
import { fileName, fileNotFound } from "../spoe/file-errors.ts";
import { parseSpoeFile } from "../spoe/spoe-file.ts";
import { readFileName, readVersionName } from "../spoe/spoe-name.ts";
import type { FileVersion } from "../store/operations.ts";
import type { SpoeTools } from "./open-spoe.ts";
import { spoeDiff } from "./spoe-writes.ts";

const PAGE = { default: 100, max: 1_000 };

/** A page of the kept versions of a file, the newest first. Throws `RESOURCE_NOT_FOUND` when there never was one. */
export async function listSpoeVersions(
  { files, versions }: Pick<SpoeTools, "files" | "versions">,
  request: SpoeListVersionsRequest,
): Promise<MessageInitShape<typeof SpoeListVersionsResponseSchema>> {
  const name = readFileName(request.file, "file");
  if (request.pageSize < 0)
    throw fieldsInvalid([{ field: "page_size", description: "must not be negative" }]);
  const size = Math.min(request.pageSize === 0 ? PAGE.default : request.pageSize, PAGE.max);
  const before = request.pageToken === "" ? undefined : Number(readToken(request).key);
  // What somebody else has written becomes a version first.
  await files.find(name);
  const found = await versions.list({
    ...{ file: fileName(name), limit: size + 1 },
    ...(before !== undefined && { before }),
  });
  if (found.length === 0 && before === undefined) throw fileNotFound(name);
  const page = found.slice(0, size);
  const last = page.at(-1);
  return {
    versions: page.map(toVersion),
    nextPageToken:
      found.length > size && last !== undefined
        ? writeToken(request, { index: 0, key: String(last.number) })
        : "",
  };
}

/** A version with what it changed. */
export async function getSpoeVersion({ versions }: Pick<SpoeTools, "versions">, name: string) {
  const { file, number } = readVersionName(name, "name");
  const { version, content } = await versions.read(fileName(file), number);
  const [former] = await versions.list({ file: fileName(file), before: number, limit: 1 });
  const before = former && (await versions.read(fileName(file), former.number)).content;
  const [was, is] = [before, content].map((bytes) =>
    parseSpoeFile(file, Buffer.from(bytes ?? new Uint8Array(0))),
  );
  return { version: toVersion(version), diff: spoeDiff(was!, is!) };
}

/** A version with what the file held. Throws `RESOURCE_NOT_FOUND`, and `FIELD_INVALID` for one that removed it. */
export async function contentOfVersion(
  { versions }: Pick<SpoeTools, "versions">,
  name: string,
): Promise<{ readonly file: string; readonly version: FileVersion; readonly content: Buffer }> {
  const { file, number } = readVersionName(name, "name");
  const { version, content } = await versions.read(fileName(file), number);
  if (content === undefined)
    throw fieldsInvalid([{ field: "name", description: "must be a version that did not remove the file" }]);
  return { file, version, content: Buffer.from(content) };
}

function toVersion(version: FileVersion): MessageInitShape<typeof SpoeVersionSchema> {
  const { file, number, time, author, message, resources, revision, sha256, size } = version;
  return {
    ...{ name: `${file}/${formatName("versions", String(number))}`, number: BigInt(number) },
    ...{ author, message, resources: [...resources], sha256, removed: sha256 === "" },
    createTime: timestampFromMs(time),
    revision: BigInt(revision),
    size: BigInt(size),
  };
}
