import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type ClearStickTableRequest,
  ClearStickTableRequestSchema,
  Comparison,
  type ListStickTableEntriesRequest,
  ListStickTableEntriesRequestSchema,
  type SetStickTableEntryRequest,
  SetStickTableEntryRequestSchema,
  type StickTableEntrySchema,
  type StickTableFilter,
} from "../../gen/haplane/v1/runtime_pb.js";
import { parseEntries, parseTables, type StickTableEntry } from "../haproxy/stick-tables.ts";
import { DomainError, type FieldViolation } from "../lib/errors.ts";
import { fieldsInvalid } from "../rpc/fields.ts";
import { checkRequest } from "./check-request.ts";
import { checkWords } from "./command-words.ts";
import type { RuntimeTools } from "./runtime-options.ts";

/** Entries of a message. */
const CHUNK = 1_000;

/** HAProxy prints a million entries in seconds. */
const DUMP_MS = 60_000;

/** Data that a command can hold: it has at most 64 words. */
const MAX_DATA = 25;

const TYPE = /^[a-z][a-z0-9_]{0,63}$/;

const NO_TABLE = /No such table/i;

/** The stick tables. */
export async function listStickTables({ haproxy }: RuntimeTools, signal: AbortSignal) {
  return { tables: parseTables(await haproxy.runtime.ask(["show", "table"], { signal })) };
}

/** The entries of a table, message by message. */
export async function* listStickTableEntries(
  { haproxy }: RuntimeTools,
  request: ListStickTableEntriesRequest,
  signal: AbortSignal,
) {
  checkRequest(ListStickTableEntriesRequestSchema, request);
  checkWords({ table: request.table, key: request.key });
  const words = ["show", "table", request.table, ...selection(request)];
  const answer = await ofTable(request.table, () =>
    haproxy.runtime.ask(words, { signal, timeoutMs: DUMP_MS }),
  );
  let entries: MessageInitShape<typeof StickTableEntrySchema>[] = [];
  let count = 0n;
  for (const entry of parseEntries(answer)) {
    entries.push(entryMessage(entry));
    count += 1n;
    if (count === request.limit) break;
    if (entries.length < CHUNK) continue;
    yield { entries };
    entries = [];
  }
  if (entries.length > 0) yield { entries };
}

/** Creates or changes an entry. */
export async function setStickTableEntry(
  { haproxy }: RuntimeTools,
  request: SetStickTableEntryRequest,
  signal: AbortSignal,
) {
  checkRequest(SetStickTableEntryRequestSchema, request);
  checkWords({ table: request.table, key: request.key });
  const data = Object.entries(request.data);
  const wrong = data.filter(([type]) => !TYPE.test(type));
  if (wrong.length > 0 || data.length > MAX_DATA) {
    const description =
      wrong.length > 0 ? "has a key that is no data type" : `has more than ${MAX_DATA} values`;
    throw fieldsInvalid([{ field: "data", description }]);
  }
  const words = data.flatMap(([type, value]) => [`data.${type}`, String(value)]);
  await ofTable(request.table, () =>
    haproxy.runtime.tell(["set", "table", request.table, "key", request.key, ...words], { signal }),
  );
  return {};
}

/** Removes entries. */
export async function clearStickTable(
  { haproxy }: RuntimeTools,
  request: ClearStickTableRequest,
  signal: AbortSignal,
) {
  checkRequest(ClearStickTableRequestSchema, request);
  checkWords({ table: request.table, key: request.key });
  const words = selection(request);
  if (request.all === words.length > 0)
    throw fieldsInvalid([
      { field: "all", description: "must be set when there is neither key nor filter, and only then" },
    ]);
  await ofTable(request.table, () =>
    haproxy.runtime.tell(["clear", "table", request.table, ...words], { signal, timeoutMs: DUMP_MS }),
  );
  return {};
}

/** The words that select entries. */
function selection({
  key,
  filters,
}: {
  readonly key: string;
  readonly filters: readonly StickTableFilter[];
}): string[] {
  const violations: FieldViolation[] = [];
  if (key !== "" && filters.length > 0)
    violations.push({ field: "key", description: "cannot be given along with filters" });
  const words = filters.flatMap(({ type, comparison, value }, index) => {
    const operator = Comparison[comparison];
    if (!TYPE.test(type))
      violations.push({ field: `filters[${index}].type`, description: "must be a data type such as gpc0" });
    if (operator === undefined || comparison === Comparison.UNSPECIFIED)
      violations.push({ field: `filters[${index}].comparison`, description: "is required" });
    return [`data.${type}`, String(operator).toLowerCase(), String(value)];
  });
  if (violations.length > 0) throw fieldsInvalid(violations);
  return key === "" ? words : ["key", key];
}

async function ofTable(table: string, command: () => Promise<string>): Promise<string> {
  try {
    return await command();
  } catch (error) {
    if (!(error instanceof DomainError) || !NO_TABLE.test(error.metadata.output ?? "")) throw error;
    throw new DomainError("RESOURCE_NOT_FOUND", `the running HAProxy has no stick table ${table}`, {
      resource: { type: "stick table", name: table },
      cause: error,
    });
  }
}

function entryMessage({ key, use, expiresMs, shard, data }: StickTableEntry) {
  return {
    ...{ key, use, shard },
    ...(expiresMs !== undefined && { expires: durationFromMs(expiresMs) }),
    data: data.map(({ type, periodMs, value }) => ({
      type,
      ...(periodMs !== undefined && { period: durationFromMs(periodMs) }),
      value:
        typeof value === "bigint" ? ({ case: "number", value } as const) : ({ case: "text", value } as const),
    })),
  };
}
