import type {
  ListMapEntriesRequest,
  MapEntry,
  ReplaceMapEntriesHeader,
  ReplaceMapEntriesRequest,
} from "../../gen/haplane/v1/storage_pb.js";
import { fieldsInvalid } from "../rpc/fields.ts";
import { paginate } from "../rpc/page-token.ts";
import type { PatternEntry } from "../storage/live.ts";
import type { EntriesKind, PatternEntries } from "../storage/pattern-entries.ts";
import { fileOf } from "./storage-kinds.ts";
import { outOfOrder, readHeader } from "./stream-header.ts";

/** The map or ACL file that a field names. Throws `FIELD_INVALID`. */
export function entriesFileOf(
  parent: string,
  field: string,
): { readonly kind: EntriesKind; readonly name: string } {
  const { kind, name } = fileOf(parent, field);
  if (kind === "maps" || kind === "acls") return { kind, name };
  throw fieldsInvalid([{ field, description: "must be files/maps/{file} or files/acls/{file}" }]);
}

/** The entry that a request has. Throws `FIELD_INVALID` when it has none. */
export function entryOf(entry: MapEntry | undefined): PatternEntry {
  const key = keyOf(entry?.key ?? "", "entry.key");
  return { key, value: entry?.value ?? "" };
}

/** A key. Throws `FIELD_INVALID` for an empty one. */
export function keyOf(key: string, field: string): string {
  if (key === "") throw fieldsInvalid([{ field, description: "is required" }]);
  return key;
}

/** A page of the entries that a request asks for. */
export async function listMapEntries(patterns: PatternEntries, request: ListMapEntriesRequest) {
  const { kind, name } = entriesFileOf(request.parent, "parent");
  const list = request.runtime ? patterns.listRuntime : patterns.list;
  const { entries, etag } = await list(kind, name);
  const counts = new Map<string, number>();
  const found = entries
    .filter((entry) => isAskedFor(entry, request))
    .map((entry) => {
      const count = (counts.get(entry.key) ?? 0) + 1;
      counts.set(entry.key, count);
      return { entry, id: `${count} ${entry.key}` };
    });
  const { items, nextPageToken } = paginate(found, request, {
    ...{ defaultSize: 1_000, maxSize: 10_000 },
    key: ({ id }) => id,
  });
  return { entries: items.map(({ entry: { key, value } }) => ({ key, value })), nextPageToken, etag };
}

function isAskedFor({ key, value }: PatternEntry, request: ListMapEntriesRequest): boolean {
  return (
    (request.key === "" || key === request.key) &&
    key.startsWith(request.keyPrefix) &&
    (key.includes(request.contains) || value.includes(request.contains))
  );
}

/** A stream of entries that has begun. */
export interface EntriesUpload {
  readonly header: ReplaceMapEntriesHeader;
  readonly entries: AsyncIterable<readonly PatternEntry[]>;
}

/** Reads the header of a stream of entries, and leaves them to be asked for. Throws `FIELD_INVALID` for parts out of order. */
export async function readEntries(requests: AsyncIterable<ReplaceMapEntriesRequest>): Promise<EntriesUpload> {
  const { header, rest } = await readHeader(requests);

  async function* entries(): AsyncGenerator<readonly PatternEntry[]> {
    for await (const { part } of rest) {
      if (part.case !== "entries") throw outOfOrder("must be entries after the first message");
      yield part.value.entries.map(entryOf);
    }
  }
  return { header, entries: entries() };
}
