import type { UploadFileHeader, UploadFileRequest } from "../../gen/haplane/v1/storage_pb.js";
import { fieldsInvalid } from "../rpc/fields.ts";
import { outOfOrder, readHeader } from "./stream-header.ts";

/** An upload that has begun. */
export interface Upload {
  readonly header: UploadFileHeader;
  /** The data as it comes. */
  readonly pieces: AsyncIterable<Uint8Array>;
  /** The checksum of header or trailer, once all data has come. Throws `FIELD_INVALID` when there is none: without it nobody knows whether something is missing. */
  readonly checksum: () => string;
}

const SHA256 = /^[0-9a-fA-F]{64}$/;

/** Reads the header of an upload, and leaves the data to be asked for. Throws `FIELD_INVALID` for parts out of order. */
export async function readUpload(requests: AsyncIterable<UploadFileRequest>): Promise<Upload> {
  const { header, rest } = await readHeader(requests);
  let sha256 = header.sha256;
  if (sha256 !== "") checkSha256(sha256, "header.sha256");
  else if (header.requestId !== "")
    throw fieldsInvalid([
      { field: "header.request_id", description: "needs sha256 beside it: a retry has to be known by it" },
    ]);

  async function* pieces(): AsyncGenerator<Uint8Array> {
    let isComplete = false;
    for await (const { part } of rest) {
      if (isComplete) throw outOfOrder("must not come after the trailer");
      if (part.case === "data") yield part.value;
      else if (part.case !== "trailer")
        throw outOfOrder("must be data or the trailer after the first message");
      else {
        sha256 = part.value.sha256;
        checkSha256(sha256, "trailer.sha256");
        isComplete = true;
      }
    }
  }

  return {
    header,
    pieces: pieces(),
    checksum() {
      checkSha256(sha256, "trailer.sha256");
      return sha256;
    },
  };
}

/** Throws `FIELD_INVALID` unless it is a SHA-256 in hexadecimal. */
export function checkSha256(value: string, field: string): void {
  if (!SHA256.test(value))
    throw fieldsInvalid([{ field, description: "must be a SHA-256 in hexadecimal, 64 digits" }]);
}
