import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { StatsKeySchema, WatchStatsResponseSchema } from "../../gen/haplane/v1/runtime_pb.js";
import { StatsType } from "../../gen/haplane/v1/runtime_stats_pb.js";
import { statsChanges } from "../haproxy/stats-changes.ts";
import { cellEnd, cellStart, type StatsTable } from "../haproxy/stats-table.ts";
import { Encoded } from "../rpc/encoded.ts";
import { addMessage, statsEncoder } from "./stats-encoder.ts";

/** Which rows are wanted; what is empty asks for all. */
export interface StatsFilter {
  readonly proxies: readonly string[];
  readonly services: readonly string[];
  readonly types: readonly StatsType[];
}

/** Tells the rows that a filter asks for. */
export function statsFilter(
  { columns }: Pick<StatsTable, "columns">,
  { proxies, services, types }: StatsFilter,
): (row: string) => boolean {
  if (proxies.length + services.length + types.length === 0) return () => true;
  const [proxySet, serviceSet, typeSet] = [new Set(proxies), new Set(services), new Set(types)];
  const typeAt = columns.indexOf("type");
  return (row) => {
    const [proxy, service] = namesOf(row);
    return (
      (proxySet.size === 0 || proxySet.has(proxy)) &&
      (serviceSet.size === 0 || serviceSet.has(service)) &&
      (typeSet.size === 0 || typeSet.has(typeOf(row, typeAt)))
    );
  };
}

/** A message of the stream, encoded once for all watchers that get the same. */
export type StatsUpdate = Encoded<typeof WatchStatsResponseSchema>;

/** A message holds about this much, well below the 4 MiB that clients of gRPC accept by default. */
const MESSAGE_BYTES = 512 * 1024;

/** What a table's last unfiltered update was made from; the former table is not kept alive by it. */
const shared = new WeakMap<
  StatsTable,
  { readonly before: WeakRef<StatsTable> | undefined; readonly updates: readonly StatsUpdate[] }
>();

/** The messages that bring a watcher from a table (none: from nothing) to the next. None when nothing that it wants has changed. Watchers without a filter that have seen the same table get the same bytes. */
export function statsUpdates(
  before: StatsTable | undefined,
  after: StatsTable,
  filter: StatsFilter,
): readonly StatsUpdate[] {
  if (filter.proxies.length + filter.services.length + filter.types.length > 0)
    return encodeUpdates(before, after, filter);
  const known = shared.get(after);
  if (known !== undefined && known.before?.deref() === before) return known.updates;
  const updates = encodeUpdates(before, after, filter);
  shared.set(after, { before: before && new WeakRef(before), updates });
  return updates;
}

function encodeUpdates(
  before: StatsTable | undefined,
  after: StatsTable,
  filter: StatsFilter,
): readonly StatsUpdate[] {
  const { field } = WatchStatsResponseSchema;
  const messages: Uint8Array[] = [];
  let writer = new BinaryWriter();
  let bytes = 0;
  const flush = (more: boolean) => {
    if (before === undefined) writer.tag(field.full.number, WireType.Varint).bool(true);
    if (more) writer.tag(field.more.number, WireType.Varint).bool(true);
    messages.push(writer.tag(field.workerPid.number, WireType.Varint).uint32(after.workerPid).finish());
    writer = new BinaryWriter();
    bytes = 0;
  };
  const add = (no: number, message: Uint8Array) => {
    if (bytes > 0 && bytes + message.length > MESSAGE_BYTES) flush(true);
    addMessage(writer, no, message);
    bytes += message.length + 1;
  };

  const { changed, removed } =
    before === undefined ? { changed: after.rows.keys(), removed: [] } : statsChanges(before, after);
  const [isWanted, encode] = [statsFilter(after, filter), statsEncoder(after.columns)];
  for (const at of changed) {
    const row = after.rows[at] as string;
    if (isWanted(row)) add(field.stats.number, encode(row));
  }
  if (before !== undefined && removed.length > 0) {
    const [wasWanted, typeAt] = [statsFilter(before, filter), before.columns.indexOf("type")];
    for (const row of removed) if (wasWanted(row)) add(field.removed.number, encodeKey(row, typeAt));
  }
  const isNewWorker = before !== undefined && before.workerPid !== after.workerPid;
  if (before === undefined || bytes > 0 || isNewWorker) flush(false);
  return messages.map((message) => Encoded.ofBytes(WatchStatsResponseSchema, message));
}

function encodeKey(row: string, typeAt: number): Uint8Array {
  const { pxname, svname, type } = StatsKeySchema.field;
  const [proxy, service] = namesOf(row);
  return new BinaryWriter()
    .tag(pxname.number, WireType.LengthDelimited)
    .string(proxy)
    .tag(svname.number, WireType.LengthDelimited)
    .string(service)
    .tag(type.number, WireType.Varint)
    .int32(typeOf(row, typeAt))
    .finish();
}

/** The first two cells: proxy, and server or listener. Names need no quotes. */
function namesOf(row: string): [proxy: string, service: string] {
  const proxyEnd = cellEnd(row, 0);
  return [row.slice(0, proxyEnd), row.slice(proxyEnd + 1, cellEnd(row, proxyEnd + 1))];
}

function typeOf(row: string, typeAt: number): StatsType {
  return row.charCodeAt(cellStart(row, typeAt)) - 48 + StatsType.FRONTEND;
}
