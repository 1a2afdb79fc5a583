import { createHash } from "node:crypto";
import { type Client, createClient } from "@connectrpc/connect";
import {
  type DownloadFileHeader,
  type DownloadFileRequest,
  Storage,
  type UploadFileHeader,
} from "../../gen/haplane/v1/storage_pb.js";
import { adminTransport, type Stack } from "./configuration-client.ts";
import type { TestHaplane } from "./haplane.ts";

/** A typed client of the service. */
export type StorageClient = Client<typeof Storage>;

/** A client of a running haplane over one stack, as admin. */
export function storageClient(
  haplane: Pick<TestHaplane, "dir">,
  stack: Stack,
): { readonly client: StorageClient; readonly close: () => void } {
  const { transport, close } = adminTransport(haplane, stack);
  return { client: createClient(Storage, transport), close };
}

/** SHA-256 in hexadecimal. */
export function sha256Of(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** What is sent before the data. */
type Header = Pick<UploadFileHeader, "kind" | "storageName"> & Partial<Omit<UploadFileHeader, "$typeName">>;

/** The messages of an upload: header, data in pieces, and a trailer where the header has no checksum. */
export async function* uploadOf(header: Header, data: Uint8Array, pieceBytes = 65_536) {
  yield { part: { case: "header" as const, value: header } };
  for (let at = 0; at < data.length; at += pieceBytes)
    yield { part: { case: "data" as const, value: data.subarray(at, at + pieceBytes) } };
  if (header.sha256 === undefined)
    yield { part: { case: "trailer" as const, value: { sha256: sha256Of(data) } } };
}

/** Downloads a file whole. */
export async function downloadOf(
  client: StorageClient,
  request: Pick<DownloadFileRequest, "name"> & Partial<Pick<DownloadFileRequest, "offset" | "etag">>,
): Promise<{ readonly header: DownloadFileHeader; readonly bytes: Buffer }> {
  let header: DownloadFileHeader | undefined;
  const pieces: Uint8Array[] = [];
  for await (const { part } of client.downloadFile(request)) {
    if (part.case === "header") header = part.value;
    else if (part.case === "data") pieces.push(part.value);
  }
  if (header === undefined) throw new Error("the download has no header");
  return { header, bytes: Buffer.concat(pieces) };
}
