import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  ReadDocumentRequest,
  ReadDocumentResponseSchema,
  ReplaceDocumentHeader,
  ReplaceDocumentRequest,
} from "../../gen/haplane/v1/configuration_pb.js";
import type { Edit } from "../commit/edit.ts";
import { changedNames } from "../config/changed-names.ts";
import { withContent } from "../config/rollback.ts";
import { DomainError } from "../lib/errors.ts";
import { fieldsInvalid } from "../rpc/fields.ts";
import type { Store } from "../store/store.ts";
import type { Document } from "../text/document.ts";
import type { ConfigurationCommit } from "./configuration-writes.ts";

const PIECE_BYTES = 65_536;
/** HAProxy would take minutes to read more. */
const MAX_DOCUMENT_BYTES = 256 * 1024 * 1024;

/** The text of the files, piece by piece. */
export async function* readDocument(
  commit: ConfigurationCommit,
  store: Store,
  { revision, path }: ReadDocumentRequest,
): AsyncGenerator<MessageInitShape<typeof ReadDocumentResponseSchema>> {
  if (revision < 0n) throw fieldsInvalid([{ field: "revision", description: "must not be negative" }]);
  if (revision === 0n) {
    const { document } = commit;
    const number = BigInt(commit.revision);
    for (const part of partsNamed(document, path)) {
      const bytes = document.print(part);
      const { path: own } = document.parts[part]!;
      for (let at = 0; at < Math.max(bytes.length, 1); at += PIECE_BYTES)
        yield { path: own, data: bytes.subarray(at, at + PIECE_BYTES), revision: number };
    }
    return;
  }
  const files = (await store.revisions.files(Number(revision))).filter(
    (file) => path === "" || file.path === path,
  );
  if (files.length === 0) throw noFile(path);
  for (const file of files)
    for await (const data of store.revisions.read(Number(revision), file.path))
      yield { path: file.path, data, revision };
}

/** A whole text that is to replace a file's. */
export interface Replacement {
  readonly header: ReplaceDocumentHeader;
  readonly bytes: Buffer;
}

/** Reads the stream of a ReplaceDocument to its end. Throws `FIELD_INVALID` for parts out of order, `LIMIT_EXCEEDED`. */
export async function readReplacement(requests: AsyncIterable<ReplaceDocumentRequest>): Promise<Replacement> {
  let header: ReplaceDocumentHeader | undefined;
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const { part } of requests) {
    if (part.case === "header" && header === undefined) header = part.value;
    else if (part.case === "data" && header !== undefined) {
      size += part.value.length;
      if (size > MAX_DOCUMENT_BYTES)
        throw new DomainError("LIMIT_EXCEEDED", "the text is too long", {
          metadata: { limit: `${MAX_DOCUMENT_BYTES} bytes` },
        });
      pieces.push(part.value);
    } else {
      const description =
        header === undefined
          ? "must be the header in the first message"
          : "must be data after the first message";
      throw fieldsInvalid([{ field: "part", description }]);
    }
  }
  if (header === undefined)
    throw fieldsInvalid([{ field: "part", description: "must be the header in the first message" }]);
  return { header, bytes: Buffer.concat(pieces, size) };
}

/** The edit that makes a file hold a text. Throws `RESOURCE_NOT_FOUND` when HAProxy reads no such file. */
export function replacementEdit(
  document: Document,
  { header, bytes }: Replacement,
  author: string,
  along: Pick<Edit, "along">,
): Edit {
  const parts = partsNamed(document, header.path);
  if (parts.length > 1)
    throw fieldsInvalid([{ field: "header.path", description: "must be set: HAProxy reads several files" }]);
  const { path } = document.parts[parts[0]!]!;
  let names: string[] = [];
  return {
    apply(before) {
      const part = before.parts.findIndex((other) => other.path === path);
      if (before.print(part).equals(bytes)) return before;
      const after = withContent(before, new Map([[path, bytes]]));
      names = changedNames(before, after);
      return after;
    },
    get resources() {
      return names;
    },
    author,
    message: header.message === "" ? `replaces ${path}` : header.message,
    servers: [],
    ...along,
  };
}

/** The parts of this path, or all. */
function partsNamed({ parts }: Document, path: string): number[] {
  const found = [...parts.keys()].filter((part) => path === "" || parts[part]!.path === path);
  if (found.length === 0) throw noFile(path);
  return found;
}

function noFile(path: string): DomainError {
  return new DomainError("RESOURCE_NOT_FOUND", "HAProxy reads no such file", {
    resource: { type: "file", name: path.slice(0, 200) },
  });
}
