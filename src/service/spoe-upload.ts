import { createHash } from "node:crypto";
import type { SpoeUploadFileHeader, SpoeUploadFileRequest } from "../../gen/haplane/v1/spoe_pb.js";
import { DomainError } from "../lib/errors.ts";
import { fieldsInvalid } from "../rpc/fields.ts";
import { MAX_BYTES } from "../spoe/file-errors.ts";
import { outOfOrder, readHeader } from "./stream-header.ts";
import { checkSha256 } from "./upload.ts";

/** Reads an upload to its end. Throws `FIELD_INVALID` for parts out of order and a checksum that is another, `LIMIT_EXCEEDED` when there is more than a file may have. */
export async function readSpoeUpload(
  requests: AsyncIterable<SpoeUploadFileRequest>,
): Promise<{ readonly header: SpoeUploadFileHeader; readonly bytes: Buffer }> {
  const { header, rest } = await readHeader(requests);
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const { part } of rest) {
    if (part.case !== "data") throw outOfOrder("must be data after the first message");
    size += part.value.length;
    if (size > MAX_BYTES)
      throw new DomainError("LIMIT_EXCEEDED", "the file is too large for a SPOE file", {
        metadata: { limit: `${MAX_BYTES} bytes of a SPOE file` },
      });
    pieces.push(part.value);
  }
  const bytes = Buffer.concat(pieces);
  const { sha256 } = header;
  if (sha256 !== "") {
    checkSha256(sha256, "header.sha256");
    const found = createHash("sha256").update(bytes).digest("hex");
    if (found !== sha256.toLowerCase())
      throw fieldsInvalid([
        { field: "header.sha256", description: `must be that of the data, which is ${found}` },
      ]);
  }
  return { header, bytes };
}
