import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ListReloadsRequest, ReloadSchema } from "../../gen/haplane/v1/runtime_pb.js";
import type { Commit } from "../commit/commit.ts";
import { reloadStateOf } from "../commit/reload-event.ts";
import { parseName } from "../config/name.ts";
import { fieldsInvalid } from "../rpc/fields.ts";
import { readToken, writeToken } from "../rpc/page-token.ts";
import type { ReloadRecord } from "../store/operations.ts";
import type { Reloads } from "../store/store.ts";

const PAGE = { default: 100, max: 1_000 };

/** Reloads now; resolves with the record when HAProxy runs it. */
export async function reloadNow(commit: Pick<Commit, "reload">, reloads: Reloads) {
  const { reload } = await commit.reload();
  return { reload: toRecord(await reloads.get(reload)) };
}

/** A page of the kept reloads, the newest first. */
export async function listReloads(reloads: Reloads, request: ListReloadsRequest) {
  if (request.pageSize < 0)
    throw fieldsInvalid([{ field: "page_size", description: "must not be negative" }]);
  const size = Math.min(request.pageSize === 0 ? PAGE.default : request.pageSize, PAGE.max);
  const before = request.pageToken === "" ? undefined : Number(readToken(request).key);
  const found = await reloads.list({ limit: size + 1, ...(before !== undefined && { before }) });
  const page = found.slice(0, size);
  const last = page.at(-1);
  const isLast = found.length <= size || last === undefined;
  return {
    reloads: page.map(toRecord),
    nextPageToken: isLast ? "" : writeToken(request, { index: 0, key: String(last.number) }),
  };
}

/** One reload. Throws `FIELD_INVALID` for what is not a name of one, `RESOURCE_NOT_FOUND`. */
export async function getReload(reloads: Reloads, name: string) {
  const [id] = parseName(name, "reloads/{number}", "name") as [string];
  if (!/^[1-9]\d{0,14}$/.test(id))
    throw fieldsInvalid([{ field: "name", description: "must end with a reload's number" }]);
  return { reload: toRecord(await reloads.get(Number(id))) };
}

function toRecord(record: ReloadRecord): MessageInitShape<typeof ReloadSchema> {
  const { number, state, reasons, output, revision, startTime, endTime } = record;
  return {
    name: `reloads/${number}`,
    state: reloadStateOf(state),
    reasons: [...reasons],
    output,
    revision: BigInt(revision),
    startTime: timestampFromMs(startTime),
    ...(endTime !== undefined && { endTime: timestampFromMs(endTime) }),
  };
}
