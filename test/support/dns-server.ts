import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";

/** A record that a name has. */
export type DnsRecord =
  | { readonly type: "A"; readonly address: string }
  | {
      readonly type: "SRV";
      readonly target: string;
      readonly port: number;
      readonly priority: number;
      readonly weight: number;
    };

/** A DNS server on UDP that knows what a test tells it. */
export interface TestDns {
  /** As resolvers are told it: `127.0.0.1:PORT`. */
  readonly address: string;
  /** How many queries have come in. */
  readonly queries: number;
  /** Sets the records of a name; none are NODATA, undefined is NXDOMAIN. */
  set(name: string, records: readonly DnsRecord[] | undefined): void;
  /** Answers with this code (2 SERVFAIL, 5 REFUSED) whatever is asked; undefined answers again. */
  fail(code: number | undefined): void;
  stop(): Promise<void>;
}

const TYPES = { A: 1, SRV: 33 } as const;
const NXDOMAIN = 3;
const HEADER_BYTES = 12;

/** Starts one that knows no name. */
export async function startDns(): Promise<TestDns> {
  const names = new Map<string, readonly DnsRecord[]>();
  let failure: number | undefined;
  let queries = 0;
  const socket = createSocket("udp4");

  function answer(query: Buffer, from: RemoteInfo): void {
    queries++;
    const { name, end } = readName(query);
    const type = query.readUInt16BE(end);
    const records = names.get(name);
    const wanted = (records ?? []).filter((record) => TYPES[record.type] === type);
    const code = failure ?? (records === undefined ? NXDOMAIN : 0);
    const header = Buffer.alloc(HEADER_BYTES);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8180 | code, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(code === 0 ? wanted.length : 0, 6);
    const question = query.subarray(HEADER_BYTES, end + 4);
    const bodies = code === 0 ? wanted.map(writeRecord) : [];
    socket.send(Buffer.concat([header, question, ...bodies]), from.port, from.address);
  }

  socket.on("message", answer);
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    address: `127.0.0.1:${socket.address().port}`,
    get queries() {
      return queries;
    },
    set(name, records) {
      if (records === undefined) names.delete(name);
      else names.set(name, records);
    },
    fail(code) {
      failure = code;
    },
    async stop() {
      socket.close();
      await once(socket, "close");
    },
  };
}

function readName(query: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), end: at + 1 };
}

function writeRecord(record: DnsRecord): Buffer {
  const data = record.type === "A" ? Buffer.from(record.address.split(".").map(Number)) : writeSrv(record);
  const head = Buffer.alloc(12);
  // The name is that of the question.
  head.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  head.writeUInt16BE(TYPES[record.type], 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(0, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function writeSrv({ priority, weight, port, target }: Extract<DnsRecord, { type: "SRV" }>): Buffer {
  const numbers = Buffer.alloc(6);
  numbers.writeUInt16BE(priority, 0);
  numbers.writeUInt16BE(weight, 2);
  numbers.writeUInt16BE(port, 4);
  const labels = target
    .split(".")
    .map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]));
  return Buffer.concat([numbers, ...labels, Buffer.of(0)]);
}
