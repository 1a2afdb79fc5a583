import { type Client, createClient } from "@connectrpc/connect";
import { Spoe, type SpoeFile, type SpoeUploadFileHeader } from "../../gen/haplane/v1/spoe_pb.js";
import { adminTransport, type Stack } from "./configuration-client.ts";
import type { TestHaplane } from "./haplane.ts";

/** A typed client of the service. */
export type SpoeClient = Client<typeof Spoe>;

/** A client of a running haplane over one stack, as admin. */
export function spoeClient(
  haplane: Pick<TestHaplane, "dir">,
  stack: Stack,
): { readonly client: SpoeClient; readonly close: () => void } {
  const { transport, close } = adminTransport(haplane, stack);
  return { client: createClient(Spoe, transport), close };
}

/** The messages of an upload. */
export async function* spoeUpload(
  header: Partial<Omit<SpoeUploadFileHeader, "$typeName">>,
  text: string,
  pieceBytes = 65_536,
) {
  yield { part: { case: "header" as const, value: header } };
  const data = Buffer.from(text);
  for (let at = 0; at < data.length; at += pieceBytes)
    yield { part: { case: "data" as const, value: data.subarray(at, at + pieceBytes) } };
}

/** Downloads a file whole. */
export async function spoeDownload(
  client: SpoeClient,
  name: string,
  transaction = "",
): Promise<{ readonly file: SpoeFile | undefined; readonly text: string }> {
  let file: SpoeFile | undefined;
  const pieces: Uint8Array[] = [];
  for await (const { part } of client.downloadFile({ name, transaction })) {
    if (part.case === "file") file = part.value;
    else if (part.case === "data") pieces.push(part.value);
  }
  return { file, text: Buffer.concat(pieces).toString() };
}
