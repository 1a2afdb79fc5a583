import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { ListenAddress } from "../../../src/rpc/listener.ts";

/** A peer that speaks HTTP/2 frame by frame: for what no client library does. */
export interface RawPeer {
  readonly socket: Socket;
  send(...frames: Buffer[]): void;
  /** All bytes that have come. */
  received(): Buffer;
  /** The same once the connection is closed. */
  read(): Promise<Buffer>;
}

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

const TYPE = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  ping: 6,
  windowUpdate: 8,
  continuation: 9,
} as const;
const END_HEADERS = 4;

/** Opens a connection, without a word said on it. */
export async function openSocket(address: ListenAddress): Promise<Socket> {
  const socket = address.kind === "tcp" ? connect(address.port, address.host) : connect(address.path);
  await once(socket, "connect");
  socket.on("error", () => {});
  return socket;
}

/** Opens a connection with the preface, our settings, and the acknowledgement of theirs. */
export async function openRaw(address: ListenAddress): Promise<RawPeer> {
  const socket = await openSocket(address);
  const received: Buffer[] = [];
  socket.on("data", (chunk) => received.push(chunk));
  socket.write(Buffer.concat([PREFACE, settings(), frame(TYPE.settings, 1, 0)]));
  return {
    socket,
    send: (...frames) => void socket.write(Buffer.concat(frames)),
    received: () => Buffer.concat(received),
    async read() {
      if (!socket.closed) await once(socket, "close");
      return Buffer.concat(received);
    },
  };
}

/** A frame of any type. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** The headers of a POST, nothing indexed; the stream stays open. */
export function headers(stream: number, path: string, more: Record<string, string>): Buffer {
  const all = {
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": "test",
    te: "trailers",
    ...more,
  };
  return frame(TYPE.headers, END_HEADERS, stream, Buffer.concat(Object.entries(all).map(literal)));
}

/** A header of a block that goes on, for ever if need be. */
export function continuation(stream: number, name: string, value: string): Buffer {
  return frame(TYPE.continuation, 0, stream, literal([name, value]));
}

export function data(stream: number, payload: Uint8Array, endStream = false): Buffer {
  return frame(TYPE.data, endStream ? 1 : 0, stream, payload);
}

/** RST_STREAM with CANCEL. */
export function reset(stream: number): Buffer {
  return frame(TYPE.rstStream, 0, stream, uint32(8));
}

export function ping(): Buffer {
  return frame(TYPE.ping, 0, 0, Buffer.alloc(8));
}

/** A SETTINGS frame with some settings, by identifier. */
export function settings(values: Record<number, number> = {}): Buffer {
  const pairs = Object.entries(values).map(([id, value]) => {
    const pair = Buffer.alloc(6);
    pair.writeUInt16BE(Number(id), 0);
    pair.writeUInt32BE(value, 2);
    return pair;
  });
  return frame(TYPE.settings, 0, 0, Buffer.concat(pairs));
}

/** A message with gRPC's prefix. */
export function grpcMessage(message: Uint8Array, { compressed = 0, length = message.length } = {}): Buffer {
  return Buffer.concat([Buffer.of(compressed), uint32(length), message]);
}

/** A frame that has come. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** The frames that are in some bytes. */
export function framesOf(bytes: Buffer): Frame[] {
  const found: Frame[] = [];
  for (let at = 0; at + 9 <= bytes.length; ) {
    const length = bytes.readUIntBE(at, 3);
    const [type, flags, stream] = [
      bytes.readUInt8(at + 3),
      bytes.readUInt8(at + 4),
      bytes.readUInt32BE(at + 5),
    ];
    found.push({ type, flags, stream, payload: bytes.subarray(at + 9, at + 9 + length) });
    at += 9 + length;
  }
  return found;
}

/** Whether a stream has come to its end: by END_STREAM or RST_STREAM. */
export function hasEnded(bytes: Buffer, stream: number): boolean {
  return framesOf(bytes).some(
    (frame) => frame.stream === stream && (frame.type === 3 || (frame.type <= 1 && (frame.flags & 1) === 1)),
  );
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A header field in HPACK: literal, never indexed, no Huffman coding. */
function literal([name, value]: [string, string]): Buffer {
  return Buffer.concat([Buffer.of(0x10), text(name), text(value)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  return Buffer.concat([integer(bytes.length), bytes]);
}

/** An integer in HPACK with a prefix of 7 bits. */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.of(value);
  const bytes = [127];
  for (let rest = value - 127; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}
