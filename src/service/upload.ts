import type { UploadFileHeader, UploadFileRequest } from "../../gen/haplane/v1/storage_pb.js";
import { fieldsInvalid } from "../rpc/fields.ts";

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
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  const part = first.done === true ? undefined : first.value.part;
  if (part?.case !== "header") throw outOfOrder("must be the header in the first message");
  const header = part.value;
  let sha256 = header.sha256;
  if (sha256 !== "") checkSha256(sha256, "header.sha256");
  else if (header.requestId !== "")
    throw fieldsInvalid([
      { field: "header.request_id", description: "needs sha256 beside it: a retry has to be known by it" },
    ]);

  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const { done, value } = await iterator.next();
      if (done === true) return;
      const { part: next } = value;
      if (next.case === "data") yield next.value;
      else if (next.case !== "trailer")
        throw outOfOrder("must be data or the trailer after the first message");
      else {
        sha256 = next.value.sha256;
        checkSha256(sha256, "trailer.sha256");
        if ((await iterator.next()).done !== true) throw outOfOrder("must not come after the trailer");
        return;
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

function outOfOrder(description: string) {
  return fieldsInvalid([{ field: "part", description }]);
}
