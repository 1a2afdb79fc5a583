/** A stick table (management guide, section 9.3, `show table`). */
export interface StickTable {
  readonly name: string;
  readonly type: string;
  readonly size: bigint;
  readonly used: bigint;
}

/** An entry of a stick table. */
export interface StickTableEntry {
  /** Without HAProxy's escapes; bytes that are no text stay as `\xHH`. */
  readonly key: string;
  readonly use: number;
  /** Milliseconds; undefined for one that does not expire. */
  readonly expiresMs: number | undefined;
  readonly shard: number;
  readonly data: readonly StickTableData[];
}

/** A value of an entry. */
export interface StickTableData {
  readonly type: string;
  /** Of a rate. */
  readonly periodMs: number | undefined;
  readonly value: bigint | string;
}

/** Reads the answer to `show table`. */
export function parseTables(answer: string): StickTable[] {
  const lines = answer.matchAll(/^# table: (.+), type: (\S+), size:(\d+), used:(\d+)/gm);
  return [...lines].map(([, name = "", type = "", size = "0", used = "0"]) => ({
    ...{ name, type },
    size: BigInt(size),
    used: BigInt(used),
  }));
}

/** Reads the entries of the answer to `show table NAME`, one after another: there may be millions. */
export function* parseEntries(answer: string): Generator<StickTableEntry> {
  for (let at = 0; at < answer.length; ) {
    const newline = answer.indexOf("\n", at);
    const end = newline === -1 ? answer.length : newline;
    const entry = answer.startsWith("0x", at) ? parseEntry(answer.slice(at, end)) : undefined;
    if (entry !== undefined) yield entry;
    at = end + 1;
  }
}

/** An escaped character is part of the key, a blank ends it. */
const HEAD = /^0x[0-9a-f]+: key=((?:[^\\ ]|\\.)*) ?/;
const FIELD = /(\w+)(?:\((\d+)\))?=((?:[^\\ ]|\\.)*)/g;

function parseEntry(line: string): StickTableEntry | undefined {
  const head = HEAD.exec(line);
  if (head === null) return undefined;
  let [use, shard] = [0, 0];
  let expiresMs: number | undefined;
  const data: StickTableData[] = [];
  for (const [, type = "", period, value = ""] of line.slice(head[0].length).matchAll(FIELD)) {
    if (type === "use") use = Number(value);
    else if (type === "exp") expiresMs = Number(value);
    else if (type === "shard") shard = Number(value);
    else {
      const periodMs = period === undefined ? undefined : Number(period);
      data.push({ type, periodMs, value: /^\d+$/.test(value) ? BigInt(value) : unescapeText(value) });
    }
  }
  return { key: unescapeText(head[1] as string), use, expiresMs, shard, data };
}

const LETTERS: Readonly<Record<string, string>> = { t: "\t", n: "\n", r: "\r", e: "\x1b" };

/** Takes HAProxy's escapes back; UTF-8 that it escaped byte by byte becomes text again. */
function unescapeText(text: string): string {
  if (!text.includes("\\")) return text;
  return text
    .replace(/(?:\\x[0-9A-Fa-f]{2})+/g, (bytes) => utf8Of(bytes) ?? bytes.replaceAll("\\x", "\\\\x"))
    .replace(/\\(.)/g, (_whole, char: string) => LETTERS[char] ?? char);
}

function utf8Of(escaped: string): string | undefined {
  try {
    const bytes = Buffer.from(escaped.replaceAll("\\x", ""), "hex");
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
