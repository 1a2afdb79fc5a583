import { createHash } from "node:crypto";
import type { Message } from "@bufbuild/protobuf";
import type { DomainError } from "../lib/errors.ts";
import { fieldsInvalid } from "./fields.ts";

/** A request of a List method (AIP-158). */
type ListRequest = Message & { readonly pageSize: number; readonly pageToken: string };

/** How a list is cut into pages. */
export interface Paging<T> {
  /** Elements of a page when the request asks for 0. */
  readonly defaultSize: number;
  /** A request for more counts as one for this many. */
  readonly maxSize: number;
  /** Names an element; no two of a list have the same. */
  readonly key: (item: T) => string;
}

/** A page of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** Bytes of the hash that ties a token to its request. */
const HASH_BYTES = 8;

/**
 * The page of a list that a request asks for. A token remembers the last element of its page by name and place: the next page begins after it, or, when it is gone,
 * where it was. The token holds only for requests that are equal in everything but `page_size` and `page_token`.
 * Throws `FIELD_INVALID` for a token that is not one, or one of another request, and for a negative size.
 */
export function paginate<T>(items: readonly T[], request: ListRequest, paging: Paging<T>): Page<T> {
  if (request.pageSize < 0)
    throw fieldsInvalid([{ field: "page_size", description: "must not be negative" }]);
  const size = Math.min(request.pageSize === 0 ? paging.defaultSize : request.pageSize, paging.maxSize);
  const start = request.pageToken === "" ? 0 : startAfter(items, readToken(request), paging.key);
  const page = items.slice(start, start + size);
  const last = page.at(-1);
  const isLast = last === undefined || start + page.length === items.length;
  const end = { index: start + page.length - 1, key: last === undefined ? "" : paging.key(last) };
  return { items: page, nextPageToken: isLast ? "" : writeToken(request, end) };
}

/** Where a page ended. */
export interface Position {
  readonly index: number;
  readonly key: string;
}

function startAfter<T>(items: readonly T[], { index, key }: Position, keyOf: (item: T) => string): number {
  const item = items[index];
  if (item !== undefined && keyOf(item) === key) return index + 1;
  const found = items.findIndex((candidate) => keyOf(candidate) === key);
  return found === -1 ? index : found + 1;
}

/** The token that goes on after a position, for requests like this one. */
export function writeToken(request: ListRequest, { index, key }: Position): string {
  return Buffer.concat([hashOf(request), Buffer.from(`${index} ${key}`)]).toString("base64url");
}

/** The position that a request's token says. Throws `FIELD_INVALID` for a token that is not one, or one of another request. */
export function readToken(request: ListRequest): Position {
  const bytes = Buffer.from(request.pageToken, "base64url");
  const [, index, key] = /^(\d{1,9}) (.*)$/s.exec(bytes.toString("utf8", HASH_BYTES)) ?? [];
  if (index === undefined || key === undefined || bytes.toString("base64url") !== request.pageToken) {
    throw wrongToken("is not the next_page_token of an answer");
  }
  if (!bytes.subarray(0, HASH_BYTES).equals(hashOf(request))) {
    throw wrongToken("belongs to a request with other fields; begin again with the first page");
  }
  return { index: Number(index), key };
}

function wrongToken(description: string): DomainError {
  return fieldsInvalid([{ field: "page_token", description }]);
}

function hashOf(request: ListRequest): Buffer {
  const { pageSize: _size, pageToken: _token, ...rest } = request;
  const json = JSON.stringify(rest, (_key, value) => (typeof value === "bigint" ? String(value) : value));
  return createHash("sha256").update(json).digest().subarray(0, HASH_BYTES);
}
