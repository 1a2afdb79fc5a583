import { ScalarType } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { StatsSchema, StatsType } from "../../gen/haplane/v1/runtime_stats_pb.js";
import { cellEnd, unquote } from "../haproxy/stats-table.ts";

/** Makes the bytes of a `Stats` of a row of `show stat`. */
export type EncodeStats = (row: string) => Uint8Array;

/** How the cells of a column are written. */
interface Column {
  readonly name: string;
  /** Unknown columns and values go to the map of others. */
  readonly kind: "number" | "text" | "type" | "other";
  /** Field number and wire type, encoded: one byte, or two with the first of them in the lower half. */
  readonly tag: number;
  /** The greatest number that the field holds. */
  readonly most: number;
}

/** Adds an encoded message as a field of the one that is written. */
export function addMessage(writer: BinaryWriter, no: number, message: Uint8Array): void {
  writer.tag(no, WireType.LengthDelimited).bytes(message);
}

/** The messages of rows with these columns. Cells go from HAProxy's text to protobuf's bytes without a message or a number in between: statistics of thousands of servers are encoded each second. */
export function statsEncoder(columns: readonly string[]): EncodeStats {
  const plan = columns.map(planColumn);
  return (row) => {
    position = 0;
    reserve(row.length * 3 + plan.length * 16);
    for (let index = 0, at = 0; at <= row.length; index += 1) {
      const end = cellEnd(row, at);
      const column = plan[index];
      if (end > at && column !== undefined) writeCell(column, row, at, end);
      at = end + 1;
    }
    return scratch.slice(0, position);
  };
}

const OTHER = StatsSchema.field.other.number;

/** Numbers of more digits are read as BigInt: those of 15 digits are exact. */
const EXACT_DIGITS = 15;

/** The column behind which their order is not fixed. */
const SEPARATOR = "-";

function planColumn(name: string): Column | undefined {
  if (name === SEPARATOR) return undefined;
  const field = StatsSchema.fields.find((candidate) => candidate.name === name && candidate.number !== OTHER);
  const most = field?.scalar === ScalarType.UINT32 ? 0xffff_ffff : Number.POSITIVE_INFINITY;
  const column = (kind: Column["kind"], wireType: WireType) => ({
    ...{ name, kind, most },
    tag: tagOf(field?.number ?? OTHER, wireType),
  });
  if (field === undefined) return column("other", WireType.LengthDelimited);
  if (field.fieldKind === "enum") return column("type", WireType.Varint);
  if (field.scalar === ScalarType.STRING) return column("text", WireType.LengthDelimited);
  return column("number", WireType.Varint);
}

/** Field numbers are below 2,048. */
function tagOf(no: number, wireType: WireType): number {
  const tag = no * 8 + wireType;
  return tag < 128 ? tag : (tag % 128) + 128 + 256 * Math.floor(tag / 128);
}

// One buffer for all rows: encoding never waits, so there is one row at a time.
let scratch = new Uint8Array(4_096);
let position = 0;
const utf8 = new TextEncoder();

function reserve(bytes: number): void {
  if (position + bytes > scratch.length) {
    const grown = new Uint8Array((position + bytes) * 2);
    grown.set(scratch.subarray(0, position));
    scratch = grown;
  }
}

function writeCell(column: Column, row: string, at: number, end: number): void {
  switch (column.kind) {
    case "number":
      if (writeNumber(column, row, at, end)) return;
      break;
    case "text":
      writeTag(column.tag);
      writeText(row, at, end);
      return;
    case "type": {
      const type = row.charCodeAt(at) - 48 + StatsType.FRONTEND;
      if (end - at !== 1 || StatsType[type] === undefined) break;
      writeTag(column.tag);
      writeVarint(type);
      return;
    }
  }
  writeOther(column.name, unquote(row.slice(at, end)));
}

/** False, and nothing written, for what is not a whole number that the field holds. */
function writeNumber({ tag, most }: Column, row: string, at: number, end: number): boolean {
  const negative = row.charCodeAt(at) === 45;
  const from = negative ? at + 1 : at;
  if (from === end) return false;
  let value = 0;
  for (let i = from; i < end; i += 1) {
    const digit = row.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return false;
    value = value * 10 + digit;
  }
  if (value > most) return false;
  writeTag(tag);
  if (negative || end - from > EXACT_DIGITS) writeBigVarint(BigInt(row.slice(at, end)));
  else writeVarint(value);
  return true;
}

function writeTag(tag: number): void {
  scratch[position++] = tag & 255;
  if (tag > 255) scratch[position++] = tag >> 8;
}

function writeVarint(value: number): void {
  let rest = value;
  for (; rest > 0x7fff_ffff; rest = Math.floor(rest / 128)) scratch[position++] = (rest % 128) | 128;
  for (; rest > 127; rest >>>= 7) scratch[position++] = (rest & 127) | 128;
  scratch[position++] = rest;
}

function writeBigVarint(value: bigint): void {
  let rest = BigInt.asUintN(64, value);
  for (; rest > 127n; rest >>= 7n) scratch[position++] = Number(rest & 127n) | 128;
  scratch[position++] = Number(rest);
}

/** A cell as text: most are short and ASCII, and copied byte by byte. */
function writeText(row: string, at: number, end: number): void {
  const length = end - at;
  if (length > 127 || row.charCodeAt(at) === 34) {
    writeLongText(unquote(row.slice(at, end)));
    return;
  }
  const start = position;
  scratch[position++] = length;
  for (let i = at; i < end; i += 1) {
    const code = row.charCodeAt(i);
    if (code > 127) {
      position = start;
      writeLongText(row.slice(at, end));
      return;
    }
    scratch[position++] = code;
  }
}

function writeLongText(text: string): void {
  writeBytes(utf8.encode(text));
}

function writeBytes(bytes: Uint8Array): void {
  reserve(bytes.length + 8);
  writeVarint(bytes.length);
  scratch.set(bytes, position);
  position += bytes.length;
}

/** An entry of the map: a message with key and value. */
function writeOther(name: string, value: string): void {
  const entry = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name);
  writeTag(OTHER_TAG);
  writeBytes(entry.tag(2, WireType.LengthDelimited).string(value).finish());
}

const OTHER_TAG = tagOf(OTHER, WireType.LengthDelimited);
