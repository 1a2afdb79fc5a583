import { create, type DescMessage, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { status as GrpcCode } from "@grpc/grpc-js";
import { DomainError } from "../lib/errors.ts";
import type { Call } from "./call.ts";
import { Encoded } from "./encoded.ts";

/** A call on its way through connect. */
export interface Exchange {
  readonly call: Call;
  /** `reading` until the handler is called, `handling` until it has given its whole answer. */
  stage: "reading" | "handling" | "answered";
}

/** Answers with one message. */
export function answerOnce(
  exchange: Exchange,
  output: DescMessage,
  answer: () => Promise<unknown>,
): Promise<Message> {
  const { call } = exchange;
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => reject(connectError(call, error));
    exchange.stage = "handling";
    call.whenAborted(fail);
    if (call.ended) return;
    answer()
      .then((value) => {
        call.answer = value;
        const message = toMessage(output, value);
        exchange.stage = "answered";
        resolve(message);
      })
      .catch(fail);
  });
}

/** Answers with a stream. Its end does not wait for a handler that is parked. */
export function answerStream(
  exchange: Exchange,
  output: DescMessage,
  answers: () => AsyncIterable<unknown>,
): AsyncIterable<Message> {
  const { call } = exchange;
  let iterator: AsyncIterator<unknown> | undefined;
  let rejectNext: (error: ConnectError) => void = () => {};
  let aborted: ConnectError | undefined;
  const stop = () => {
    iterator?.return?.().catch(() => {});
  };
  exchange.stage = "handling";
  call.whenAborted((reason) => {
    aborted = connectError(call, reason);
    rejectNext(aborted);
    stop();
  });

  const step = async (): Promise<IteratorResult<Message>> => {
    try {
      iterator ??= answers()[Symbol.asyncIterator]();
      const { done, value } = await iterator.next();
      if (done !== true) return { done: false, value: toMessage(output, value) };
      exchange.stage = "answered";
      return { done: true, value: undefined };
    } catch (error) {
      stop();
      throw connectError(call, error);
    }
  };
  const next = () =>
    new Promise<IteratorResult<Message>>((resolve, reject) => {
      if (aborted !== undefined) return reject(aborted);
      rejectNext = reject;
      step().then(resolve, reject);
    });
  const leave = async (): Promise<IteratorResult<Message>> => {
    stop();
    return { done: true, value: undefined };
  };
  return { [Symbol.asyncIterator]: () => ({ next, return: leave }) };
}

/** The requests of a stream, with connect's own errors in our words. */
export async function* requestsOf(call: Call, requests: AsyncIterable<Message>): AsyncGenerator<Message> {
  try {
    for await (const message of requests) {
      call.first ??= message;
      yield message;
    }
  } catch (error) {
    // What is no error of connect's own is one of the connection.
    if (!(error instanceof ConnectError)) call.cancel();
    throw call.signal.aborted ? call.signal.reason : domainError(error);
  }
}

/** Ends the call with an error, unless it has ended, and returns what connect sends. */
export function connectError(call: Call, error: unknown): ConnectError {
  const { code, message, details } = call.status(error);
  call.end(code, error);
  return new ConnectError(message, code as number as Code, undefined, [...details]);
}

/** Ends the call when connect is done with it: `reason` is why its signal was aborted. */
export function settle({ call, stage }: Exchange, reason: unknown): void {
  if (call.ended) return;
  const { Canceled, DeadlineExceeded } = Code;
  if (reason instanceof ConnectError && reason.code !== Canceled && reason.code !== DeadlineExceeded) {
    // Before the handler is called it is the request that connect cannot read; after that it is our answer that it cannot write.
    call.end(reason.code as number as GrpcCode, stage === "reading" ? domainError(reason) : reason);
  } else if (stage === "answered") {
    call.end(GrpcCode.OK);
  } else {
    call.cancel();
    connectError(call, reason);
  }
}

function domainError(error: unknown): unknown {
  if (!(error instanceof ConnectError)) return error;
  if (error.code !== Code.ResourceExhausted)
    return new DomainError("FIELD_INVALID", error.rawMessage, { cause: error });
  return new DomainError("LIMIT_EXCEEDED", error.rawMessage, {
    metadata: { limit: "max_message_bytes" },
    cause: error,
  });
}

function toMessage(output: DescMessage, answer: unknown): Message {
  return answer instanceof Encoded ? answer.message : create(output, answer as MessageInitShape<DescMessage>);
}
