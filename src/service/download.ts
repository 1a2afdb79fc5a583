import type { MessageInitShape } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type DownloadFileRequest, DownloadFileResponseSchema } from "../../gen/haplane/v1/storage_pb.js";
import { Encoded } from "../rpc/encoded.ts";
import { fieldsInvalid } from "../rpc/fields.ts";
import type { Answer } from "../rpc/handler.ts";
import type { Storage } from "../storage/storage.ts";
import { toFile } from "./file-message.ts";
import { numberOf } from "./size.ts";
import { fileOf } from "./storage-kinds.ts";

type Response = Answer<typeof DownloadFileResponseSchema>;

const DATA_FIELD = DownloadFileResponseSchema.field.data.number;

/** What stands in front of the bytes in a message that holds nothing but data. */
function dataPrefix(length: number): Uint8Array {
  return new BinaryWriter().tag(DATA_FIELD, WireType.LengthDelimited).uint32(length).finish();
}

/** Sends a file: what it is, then its bytes, as they are read. Throws `FIELD_INVALID` for an offset beyond its end. */
export async function* downloadFile(
  storage: Storage,
  request: DownloadFileRequest,
): AsyncGenerator<Response> {
  const { kind, name } = fileOf(request.name, "name");
  const { file, size, sha256, redacted, pieces } = await storage.open(kind, name, request.etag);
  const offset = numberOf(request.offset);
  if (offset > size)
    throw fieldsInvalid([
      { field: "offset", description: `must be at most the size, ${size}; it is ${offset}` },
    ]);
  const header: MessageInitShape<typeof DownloadFileResponseSchema> = {
    part: { case: "header", value: { file: toFile(file), size: BigInt(size), sha256, redacted } },
  };
  yield header;
  for await (const bytes of pieces(offset, dataPrefix))
    yield Encoded.ofBytes(DownloadFileResponseSchema, bytes);
}
