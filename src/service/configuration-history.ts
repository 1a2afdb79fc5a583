import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type ListRevisionsRequest,
  RevisionLane,
  type RevisionSchema,
} from "../../gen/haplane/v1/configuration_pb.js";
import { parseName } from "../config/name.ts";
import { fieldsInvalid } from "../rpc/fields.ts";
import { readToken, writeToken } from "../rpc/page-token.ts";
import type { RevisionLane as StoredLane } from "../store/operations.ts";
import type { Revision } from "../store/revision-table.ts";
import type { Store } from "../store/store.ts";
import { Document } from "../text/document.ts";
import { unifiedDiff } from "./unified-diff.ts";

const PAGE = { default: 100, max: 1_000 };

const LANES: Readonly<Record<StoredLane, RevisionLane>> = {
  runtime: RevisionLane.RUNTIME,
  reload: RevisionLane.RELOAD,
  discovery: RevisionLane.RUNTIME,
  external: RevisionLane.FOUND,
};

/** The number in a revision's name. Throws `FIELD_INVALID`. */
export function revisionNumber(name: string): number {
  const [id] = parseName(name, "revisions/{number}", "name") as [string];
  if (/^[1-9]\d{0,14}$/.test(id)) return Number(id);
  throw fieldsInvalid([{ field: "name", description: "must end with a revision's number" }]);
}

/** A page of the kept revisions, the newest first. */
export async function listRevisions(store: Store, request: ListRevisionsRequest) {
  if (request.pageSize < 0)
    throw fieldsInvalid([{ field: "page_size", description: "must not be negative" }]);
  const size = Math.min(request.pageSize === 0 ? PAGE.default : request.pageSize, PAGE.max);
  const before = request.pageToken === "" ? undefined : Number(readToken(request).key);
  const { skipDiscovery } = request;
  const asked = new Set(request.lanes);
  const lanes = (Object.keys(LANES) as StoredLane[]).filter(
    (stored) => (asked.size === 0 || asked.has(LANES[stored])) && !(skipDiscovery && stored === "discovery"),
  );
  if (request.lanes.some((lane) => !Object.values(LANES).includes(lane)))
    throw fieldsInvalid([{ field: "lanes", description: "must be lanes that there are" }]);
  const found = await store.revisions.list({
    limit: size + 1,
    ...(before !== undefined && { before }),
    lanes,
  });
  const page = found.slice(0, size);
  const last = page.at(-1);
  return {
    revisions: page.map(toRevision),
    nextPageToken:
      found.length > size && last !== undefined
        ? writeToken(request, { index: 0, key: String(last.number) })
        : "",
  };
}

/** A revision with what it changed. */
export async function getRevision(store: Store, name: string) {
  const revision = await store.revisions.get(revisionNumber(name));
  const [before, after] = await Promise.all([
    revision.parent === 0 ? Document.parse([]) : documentOf(store, revision.parent),
    documentOf(store, revision.number),
  ]);
  return { revision: toRevision(revision), diff: unifiedDiff(before, after) };
}

/** What the files held in a revision, by path. Rejects with `RESOURCE_NOT_FOUND`. */
export async function contentOf(store: Store, revision: number): Promise<Map<string, Buffer>> {
  const content = new Map<string, Buffer>();
  for (const { path } of await store.revisions.files(revision)) {
    const pieces: Uint8Array[] = [];
    for await (const piece of store.revisions.read(revision, path)) pieces.push(piece);
    content.set(path, Buffer.concat(pieces));
  }
  return content;
}

async function documentOf(store: Store, revision: number): Promise<Document> {
  const content = await contentOf(store, revision);
  return Document.parse([...content].map(([path, bytes]) => ({ path, bytes })));
}

function toRevision(revision: Revision): MessageInitShape<typeof RevisionSchema> {
  return {
    name: `revisions/${revision.number}`,
    number: BigInt(revision.number),
    createTime: timestampFromMs(revision.time),
    author: revision.author,
    message: revision.message,
    resources: [...revision.resources],
    lane: LANES[revision.lane],
  };
}
