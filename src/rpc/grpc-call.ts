import {
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { status as Code, Metadata } from "@grpc/grpc-js";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { DomainError } from "../lib/errors.ts";
import type { Call } from "./call.ts";
import { Encoded } from "./encoded.ts";
import { type CallStatus, toRpcStatus } from "./status.ts";

/** What grpc-js sends as the end of a call. */
export interface GrpcStatus {
  code: Code;
  details: string;
  metadata: Metadata | null;
}

/** The part of grpc-js's call that is used to answer: below its streams, where written messages are acknowledged one by one. */
export interface Wire {
  sendMessage(message: Buffer, sent: () => void): void;
  sendStatus(status: GrpcStatus): void;
}

/** A call and the wire it is answered on. */
export interface Link {
  readonly call: Call;
  readonly wire: Wire;
}

/** Bytes that may wait for a slow reader of one call, before the handler is asked for more: a large message on its way, and the next behind it. */
const MAX_QUEUED_BYTES = 512 * 1024;
/** What a queued message costs beside its bytes. */
const MESSAGE_OVERHEAD = 256;

/** An answer of at most so many bytes goes out along with its status, in one write: whether its reader is slow need not be known. */
const SMALL_ANSWER = 4 * 1024;

/** Answers with one message. */
export async function sendAnswer(
  link: Link,
  output: DescMessage,
  answer: () => Promise<unknown>,
): Promise<void> {
  const { call, wire } = link;
  call.whenAborted((reason) => fail(link, reason));
  try {
    call.answer = await answer();
    const message = encode(output, call.answer);
    if (call.ended) return;
    if (message.byteLength > SMALL_ANSWER) {
      wire.sendMessage(message, () => succeed(link));
    } else {
      wire.sendMessage(message, () => {});
      succeed(link);
    }
  } catch (error) {
    fail(link, error);
  }
}

/**
 * Answers with a stream: asks the handler for the next message when the last ones have gone out, and leaves it as soon as the call ends. A message is copied when it is sent, so its bytes may be used again when the
 * next is asked for.
 */
export async function sendAnswers(
  link: Link,
  output: DescMessage,
  answers: () => AsyncIterable<unknown>,
): Promise<void> {
  const { call, wire } = link;
  let iterator: AsyncIterator<unknown> | undefined;
  let queued = 0;
  let wake = () => {};
  const stop = () => {
    wake();
    // A generator that is parked answers only when it wakes up; nobody waits for that.
    iterator?.return?.().catch(() => {});
  };
  call.whenAborted((reason) => {
    fail(link, reason);
    stop();
  });
  if (call.ended) return;
  try {
    iterator = answers()[Symbol.asyncIterator]();
    for (;;) {
      const step = await iterator.next();
      if (call.ended) return;
      if (step.done === true) break;
      const message = encode(output, step.value);
      const cost = message.byteLength + MESSAGE_OVERHEAD;
      queued += cost;
      wire.sendMessage(message, () => {
        queued -= cost;
        wake();
      });
      while (queued > MAX_QUEUED_BYTES && !call.ended) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (call.ended) return;
    }
    succeed(link);
  } catch (error) {
    fail(link, error);
    stop();
  }
}

/** Reads the one request of a call. Throws `FIELD_INVALID` when the bytes are no such message. */
export function decodeRequest(call: Call, bytes: Uint8Array): Message {
  call.request = decode(call.method.desc.input, bytes);
  return call.request;
}

/** Reads the requests of a stream. When the client gives the call up, this fails with the reason of the abort; to grpc-js a stream that was reset has come to its end. */
export async function* decodeRequests(
  call: Call,
  requests: AsyncIterable<Uint8Array>,
): AsyncGenerator<Message> {
  const { signal } = call;
  try {
    for await (const bytes of requests) {
      const message = decode(call.method.desc.input, bytes);
      call.first ??= message;
      yield message;
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
  if (signal.aborted) throw signal.reason;
}

/** Ends a call with an error; without effect when it has ended already. */
export function fail({ call, wire }: Link, error: unknown): void {
  if (call.ended) return;
  const status = call.status(error);
  call.end(status.code, error, () => wire.sendStatus(toGrpcStatus(status)));
}

function succeed({ call, wire }: Link): void {
  call.end(Code.OK, undefined, () => wire.sendStatus({ code: Code.OK, details: "", metadata: null }));
}

function decode(input: DescMessage, bytes: Uint8Array): Message {
  try {
    return fromBinary(input, bytes);
  } catch (cause) {
    throw new DomainError("FIELD_INVALID", `the request is not a ${input.typeName}`, { cause });
  }
}

function encode(output: DescMessage, answer: unknown): Buffer {
  const bytes = answer instanceof Encoded ? answer.bytes : toBinary(output, toMessage(output, answer));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function toMessage(output: DescMessage, answer: unknown) {
  return create(output, answer as MessageInitShape<DescMessage>);
}

function toGrpcStatus(status: CallStatus): GrpcStatus {
  const metadata = new Metadata();
  const bytes = toBinary(StatusSchema, toRpcStatus(status));
  metadata.set("grpc-status-details-bin", Buffer.from(bytes));
  return { code: status.code, details: status.message, metadata };
}
