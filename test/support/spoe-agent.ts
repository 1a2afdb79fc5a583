import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";

/** What HAProxy told of one event: the arguments of each message by message name. */
export type Notified = ReadonlyMap<string, readonly SpoeArgument[]>;

/** An argument of a message. */
export interface SpoeArgument {
  readonly name: string;
  readonly value: string | number | boolean | undefined;
}

/** A variable that HAProxy is to set in the transaction. */
export interface SetVariable {
  readonly name: string;
  readonly value: string;
}

/** A small SPOE agent (SPOE manual, section 3). */
export interface SpoeAgent {
  readonly port: number;
  /** All that it was told, in order. */
  readonly notified: readonly Notified[];
  stop(): Promise<void>;
}

const FRAME = { haproxyHello: 1, haproxyDisconnect: 2, notify: 3, agentHello: 101, ack: 103 };
const FIN = Buffer.from([0, 0, 0, 1]);
const SET_VARIABLE = 1;
const TRANSACTION = 2;

/** Starts an agent that answers every event with the variables that `decide` makes of it. */
export async function startSpoeAgent(
  decide: (notified: Notified) => readonly SetVariable[],
): Promise<SpoeAgent> {
  const notified: Notified[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    let rest = Buffer.alloc(0);
    socket.on("data", (data) => {
      rest = Buffer.concat([rest, data]);
      while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
        const size = rest.readUInt32BE(0);
        answer(socket, new Reader(rest.subarray(4, 4 + size)));
        rest = rest.subarray(4 + size);
      }
    });
  });
  const answer = (socket: Socket, frame: Reader) => {
    const type = frame.byte();
    frame.skip(4);
    const ids = [frame.integer(), frame.integer()] as const;
    if (type === FRAME.haproxyHello) {
      const items = [
        keyed("version", text("2.0")),
        keyed("max-frame-size", uint32(16_380)),
        keyed("capabilities", text("pipelining")),
      ];
      send(socket, FRAME.agentHello, ids, items);
    } else if (type === FRAME.haproxyDisconnect) socket.end();
    else if (type === FRAME.notify) {
      const messages = new Map<string, readonly SpoeArgument[]>();
      while (!frame.isAtEnd) {
        const name = frame.text();
        const count = frame.byte();
        messages.set(
          name,
          Array.from({ length: count }, () => ({ name: frame.text(), value: frame.value() })),
        );
      }
      notified.push(messages);
      const actions = decide(messages).map(({ name, value }) =>
        Buffer.concat([Buffer.from([SET_VARIABLE, 3, TRANSACTION]), string(name), text(value)]),
      );
      send(socket, FRAME.ack, ids, actions);
    }
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    notified,
    async stop() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function send(
  socket: Socket,
  type: number,
  ids: readonly [number, number],
  payload: readonly Buffer[],
): void {
  const frame = Buffer.concat([Buffer.from([type]), FIN, ...ids.map(varint), ...payload]);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(frame.length);
  socket.write(Buffer.concat([size, frame]));
}

/** Section 3.1: below 240 one byte, else four bits and then seven bits a byte. */
function varint(value: number): Buffer {
  if (value < 240) return Buffer.from([value]);
  const bytes = [(value & 0x0f) | 0xf0];
  let left = Math.floor((value - 240) / 16);
  for (; left >= 128; left = Math.floor((left - 128) / 128)) bytes.push((left & 0x7f) | 0x80);
  return Buffer.from([...bytes, left]);
}

function string(value: string): Buffer {
  return Buffer.concat([varint(Buffer.byteLength(value)), Buffer.from(value)]);
}

const TYPES = { boolean: 1, int32: 2, uint32: 3, int64: 4, uint64: 5, ipv4: 6, ipv6: 7, string: 8 };

function text(value: string): Buffer {
  return Buffer.concat([Buffer.from([TYPES.string]), string(value)]);
}

function uint32(value: number): Buffer {
  return Buffer.concat([Buffer.from([TYPES.uint32]), varint(value)]);
}

function keyed(name: string, value: Buffer): Buffer {
  return Buffer.concat([string(name), value]);
}

/** Reads a frame. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  skip(count: number): void {
    this.#at += count;
  }

  byte(): number {
    return this.#bytes[this.#at++]!;
  }

  integer(): number {
    let value = this.byte();
    if (value < 240) return value;
    for (let factor = 16; ; factor *= 128) {
      const byte = this.byte();
      value += byte * factor;
      if (byte < 128) return value;
    }
  }

  text(): string {
    return this.#take(this.integer()).toString();
  }

  value(): SpoeArgument["value"] {
    const head = this.byte();
    switch (head & 0x0f) {
      case TYPES.boolean:
        return (head & 0x10) !== 0;
      case TYPES.int32:
      case TYPES.uint32:
      case TYPES.int64:
      case TYPES.uint64:
        return this.integer();
      case TYPES.ipv4:
        return [...this.#take(4)].join(".");
      case TYPES.ipv6:
        return this.#take(16).toString("hex");
      case TYPES.string:
        return this.text();
      default:
        return undefined;
    }
  }

  #take(count: number): Buffer {
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
}
