import { createHash } from "node:crypto";
import { clone, type DescMessage, type Message, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { fieldInvalid } from "./fields.ts";

/** A request of a List method (AIP-158). */
type ListRequest = Message & { pageSize: number; pageToken: string };

/** Bytes of the hash that ties a token to its request. */
const HASH_BYTES = 8;

/**
 * Makes the token for the page that begins after `position`, for example the name of the last resource. The token is opaque to clients and holds only for
 * requests that are equal in everything but `page_size` and `page_token`.
 */
export function pageTokenAfter<Desc extends DescMessage>(
  schema: Desc,
  request: MessageShape<Desc> & ListRequest,
  position: string,
): string {
  return Buffer.concat([hashOf(schema, request), Buffer.from(position)]).toString("base64url");
}

/**
 * The position that the request's token stands for; undefined on the first page. Throws `FIELD_INVALID` for a token that is not one, or one of another request.
 * A token can be forged, so the position is to be treated like any other input.
 */
export function pagePosition<Desc extends DescMessage>(
  schema: Desc,
  request: MessageShape<Desc> & ListRequest,
): string | undefined {
  if (request.pageToken === "") return undefined;
  const bytes = Buffer.from(request.pageToken, "base64url");
  const intact = bytes.length > HASH_BYTES && bytes.toString("base64url") === request.pageToken;
  if (intact && bytes.subarray(0, HASH_BYTES).equals(hashOf(schema, request))) {
    return bytes.toString("utf8", HASH_BYTES);
  }
  const description = intact
    ? "belongs to a request with other fields; begin again with the first page"
    : "is not a next_page_token of an answer";
  throw fieldInvalid("page_token", description);
}

/** The number of elements on a page: `fallback` for 0, never more than `most`. Throws `FIELD_INVALID` for a negative one. */
export function pageSize(request: ListRequest, fallback: number, most: number): number {
  if (request.pageSize < 0) throw fieldInvalid("page_size", "must not be negative");
  return Math.min(request.pageSize === 0 ? fallback : request.pageSize, most);
}

function hashOf<Desc extends DescMessage>(schema: Desc, request: MessageShape<Desc> & ListRequest): Buffer {
  const rest: MessageShape<Desc> & ListRequest = Object.assign(clone(schema, request), {
    pageSize: 0,
    pageToken: "",
  });
  return createHash("sha256")
    .update(schema.typeName)
    .update(toBinary(schema, rest))
    .digest()
    .subarray(0, HASH_BYTES);
}
