import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  type ListStatsRequest,
  ListStatsRequestSchema,
  ListStatsResponseSchema,
  type WatchStatsRequest,
  WatchStatsRequestSchema,
} from "../../gen/haplane/v1/runtime_pb.js";
import type { StatsFeed } from "../haproxy/stats-feed.ts";
import { rowKey, type StatsTable } from "../haproxy/stats-table.ts";
import { Encoded } from "../rpc/encoded.ts";
import { checkFields } from "../rpc/fields.ts";
import { paginate } from "../rpc/page-token.ts";
import { checkRequest } from "./check-request.ts";
import { addMessage, statsEncoder } from "./stats-encoder.ts";
import { statsFilter, statsUpdates } from "./stats-updates.ts";

const PAGE = { defaultSize: 1_000, maxSize: 5_000 };
const INTERVAL_MS = { default: 1_000, least: 100, most: 3_600_000 };

/** A page of the statistics. */
export async function listStats(feed: StatsFeed, request: ListStatsRequest, signal: AbortSignal) {
  checkRequest(ListStatsRequestSchema, request);
  signal.throwIfAborted();
  const table = await feed.latest();
  const isWanted = statsFilter(table, request);
  const key = rowKey(table);
  const page = paginate(table.rows.filter(isWanted), request, { ...PAGE, key });
  const encode = statsEncoder(table.columns);
  const { stats, nextPageToken } = ListStatsResponseSchema.field;
  const writer = new BinaryWriter();
  for (const row of page.items) addMessage(writer, stats.number, encode(row));
  if (page.nextPageToken !== "")
    writer.tag(nextPageToken.number, WireType.LengthDelimited).string(page.nextPageToken);
  return Encoded.ofBytes(ListStatsResponseSchema, writer.finish());
}

/** The statistics, then what changes in them. A reader that does not keep up misses what lies between: it gets what is different from what it got last. */
export async function* watchStats(feed: StatsFeed, request: WatchStatsRequest, signal: AbortSignal) {
  checkRequest(WatchStatsRequestSchema, request);
  const { default: usual, least, most } = INTERVAL_MS;
  const intervalMs = checkFields((check) => check.duration("interval", request.interval, usual, least, most));
  const watch = feed.watch(intervalMs);
  signal.addEventListener("abort", () => watch.close(), { once: true });
  if (signal.aborted) watch.close();
  try {
    for (let before: StatsTable | undefined; ; ) {
      const table = await watch.next();
      yield* statsUpdates(before, table, request);
      before = table;
    }
  } finally {
    watch.close();
  }
}
