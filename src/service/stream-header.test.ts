import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { SpoeUploadFileRequestSchema } from "../../gen/haplane/v1/spoe_pb.js";
import { ReplaceMapEntriesRequestSchema, UploadFileRequestSchema } from "../../gen/haplane/v1/storage_pb.js";
import { DomainError } from "../lib/errors.ts";
import { readEntries } from "./map-entries.ts";
import { readSpoeUpload } from "./spoe-upload.ts";
import { readUpload } from "./upload.ts";

type Part = "header" | "data" | "trailer" | "entries" | "nothing";

const sha256 = createHash("sha256").update("xx").digest("hex");
const VALUES = {
  header: { storageName: "a" },
  data: Buffer.from("x"),
  trailer: { sha256 },
  entries: { entries: [{ key: "a", value: "b" }] },
};

/** The messages of a stream, and whether whoever reads it has let go of it. */
function streamOf(parts: readonly Part[], schema: unknown) {
  const stream = { isLetGo: false };
  async function* messages() {
    try {
      for (const one of parts)
        yield create(
          schema as typeof UploadFileRequestSchema,
          one === "nothing" ? {} : { part: { case: one, value: VALUES[one] } as never },
        );
    } finally {
      stream.isLetGo = true;
    }
  }
  return Object.assign(stream, { messages: messages() as AsyncIterable<never> });
}

const READERS = {
  async upload(requests: AsyncIterable<never>) {
    const { pieces, checksum } = await readUpload(requests);
    const all: Uint8Array[] = [];
    for await (const piece of pieces) all.push(piece);
    return `${Buffer.concat(all)} ${checksum() === sha256}`;
  },
  spoe: async (requests: AsyncIterable<never>) => String((await readSpoeUpload(requests)).bytes),
  async entries(requests: AsyncIterable<never>) {
    let count = 0;
    for await (const batch of (await readEntries(requests)).entries) count += batch.length;
    return String(count);
  },
};
const SCHEMAS = {
  upload: UploadFileRequestSchema,
  spoe: SpoeUploadFileRequestSchema,
  entries: ReplaceMapEntriesRequestSchema,
};

const CASES: readonly [keyof typeof READERS, readonly Part[], string][] = [
  ["upload", ["header", "data", "data", "trailer"], "xx true"],
  ["upload", [], "part"],
  ["upload", ["data", "header"], "part"],
  ["upload", ["header", "header"], "part"],
  ["upload", ["header", "nothing"], "part"],
  ["upload", ["header", "trailer", "data"], "part"],
  ["upload", ["header", "trailer", "trailer"], "part"],
  ["upload", ["header", "data"], "trailer.sha256"],
  ["spoe", ["header", "data"], "x"],
  ["spoe", ["header"], ""],
  ["spoe", [], "part"],
  ["spoe", ["data"], "part"],
  ["spoe", ["header", "header"], "part"],
  ["entries", ["header", "entries", "entries"], "2"],
  ["entries", [], "part"],
  ["entries", ["entries"], "part"],
  ["entries", ["header", "header"], "part"],
];

for (const [reader, parts, expected] of CASES)
  test(`${reader}: ${parts.join(", ") || "an empty stream"}`, async () => {
    const stream = streamOf(parts, SCHEMAS[reader]);
    const found = await READERS[reader](stream.messages).catch((error: unknown) => {
      assert.ok(error instanceof DomainError && error.reason === "FIELD_INVALID");
      return error.violations[0]?.field;
    });
    assert.equal(found, expected);
    assert.ok(stream.isLetGo);
  });
