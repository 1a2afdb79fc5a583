import { create, type DescField, ScalarType } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { ProcessState } from "../../gen/haplane/v1/events_pb.js";
import { type Info, InfoSchema } from "../../gen/haplane/v1/runtime_info_pb.js";
import type { ProcessInfo } from "../haproxy/info.ts";
import type { Scalar } from "../haproxy/scalar.ts";
import { processStateOf } from "./process-event.ts";
import type { RuntimeTools } from "./runtime-options.ts";

/** What HAProxy says of itself, and what is seen of it from outside. */
export async function getInfo({ haproxy }: Pick<RuntimeTools, "haproxy">, signal: AbortSignal) {
  const info = await haproxy.runtime.info({ signal });
  const { state } = haproxy;
  const running = state.kind === "running" ? state : undefined;
  return {
    version: info.version.text,
    masterPid: running?.masterPid ?? 0,
    workerPid: info.pid,
    uptime: durationFromMs(info.uptimeSeconds * 1_000),
    ...(running !== undefined && { reloads: running.reloads }),
    state: info.stopping ? ProcessState.DOWN : processStateOf(state),
    info: infoMessage(info.fields),
  };
}

/** The lines of `show info` as a message: fields have HAProxy's names, written in lower case. */
export function infoMessage(lines: ProcessInfo["fields"]): Info {
  const message = create(InfoSchema);
  const values = message as unknown as Record<string, unknown>;
  for (const [name, value] of Object.entries(lines)) {
    const field = fieldOf(name);
    const read = field?.fieldKind === "scalar" ? readAs(field.scalar, value) : undefined;
    if (field === undefined || read === undefined) message.other[name] = String(value);
    else values[field.localName] = read;
  }
  return message;
}

const FIELDS = new Map(InfoSchema.fields.map((field) => [field.name, field]));

/** By HAProxy's names, as they come: they are always the same. */
const known = new Map<string, DescField | undefined>();

function fieldOf(name: string): DescField | undefined {
  if (!known.has(name)) known.set(name, FIELDS.get(MISSPELT[name] ?? fieldName(name)));
  return known.get(name);
}

/** Names that were corrected in a later version. */
const MISSPELT: Readonly<Record<string, string>> = { TotalSplicdedBytesOut: "total_spliced_bytes_out" };

/** `Ulimit-n` is `ulimit_n`, `PoolAlloc_MB` is `pool_alloc_mb`. */
function fieldName(name: string): string {
  const words = name.replace(/[- ]/g, "_").replace(/([a-z])([A-Z])/g, "$1_$2");
  return words.toLowerCase();
}

/** Undefined for what the field cannot hold. */
function readAs(scalar: ScalarType, value: Scalar): string | number | bigint | undefined {
  if (scalar === ScalarType.STRING) return String(value);
  if (typeof value === "string") return undefined;
  if (scalar === ScalarType.UINT64) return value >= 0 ? BigInt(value) : undefined;
  return value >= 0 && value <= 0xffff_ffff ? Number(value) : undefined;
}
