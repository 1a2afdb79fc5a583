import {
  createRegistry,
  type DescMethod,
  fromBinary,
  type JsonObject,
  type JsonValue,
  toJson,
} from "@bufbuild/protobuf";
import { file_google_rpc_error_details } from "../../../gen/google/rpc/error_details_pb.js";

/** A client, in whatever language, that can be told what to call. Messages are in JSON, as the protobuf specification maps them. */
export interface Driver {
  /** Calls a unary method. `token`: none when empty; default the admin's. */
  call(method: DescMethod, request: JsonObject, token?: string): Promise<Outcome>;
  /** Calls a method that streams its answers. */
  stream(method: DescMethod, request: JsonObject, token?: string): Streaming;
  close(): Promise<void>;
}

/** How a call ended. */
export type Outcome = { readonly code: "OK"; readonly message: JsonObject } | Failure;

/** An error, as the client understood it. */
export interface Failure {
  /** The name of the code, as in `NOT_FOUND`. */
  readonly code: string;
  readonly reason: string;
  readonly details: readonly Detail[];
}

/** A typed detail of an error. */
export interface Detail {
  /** The full name of its message. */
  readonly type: string;
  readonly value: JsonObject;
}

/** A stream that is open or was. */
export interface Streaming {
  /** What has come so far, in order. */
  readonly messages: readonly JsonObject[];
  /** How it ended; a stream that was cancelled ends with CANCELLED. */
  readonly ended: Promise<Failure | { readonly code: "OK" | "CANCELLED" }>;
  /** Gives it up, and waits until the client has. */
  cancel(): Promise<void>;
}

const details = createRegistry(file_google_rpc_error_details);

/** Reads a detail from its wire form. */
export function readDetail(type: string, bytes: Uint8Array): Detail {
  const schema = details.getMessage(type);
  if (schema === undefined) throw new Error(`a detail of the unknown type ${type}`);
  return { type, value: toJson(schema, fromBinary(schema, bytes)) as JsonObject };
}

/** A stream that is filled from outside. */
export interface StreamBuffer extends Streaming {
  push(message: JsonObject): void;
  end(how: Awaited<Streaming["ended"]>): void;
}

/** An empty one; `giveUp` is what cancels the call. */
export function streamBuffer(giveUp: () => void): StreamBuffer {
  const messages: JsonObject[] = [];
  const { promise: ended, resolve: end } = Promise.withResolvers<Awaited<Streaming["ended"]>>();
  return {
    messages,
    ended,
    push: (message) => void messages.push(message),
    end,
    async cancel() {
      giveUp();
      await ended;
    },
  };
}

/** The error of Connect in JSON, which `buf curl` prints for every protocol. */
export function readConnectError(json: JsonObject): Failure {
  const found = (json.details ?? []) as { type: string; value: string }[];
  return {
    code: String(json.code).toUpperCase(),
    reason: String(json.message),
    details: found.map(({ type, value }) => readDetail(type, Buffer.from(value, "base64"))),
  };
}

/** Takes the whole JSON objects from the beginning of a text; what is left is the beginning of one. */
export function takeObjects(text: string): { readonly objects: JsonObject[]; readonly rest: string } {
  const objects: JsonObject[] = [];
  let start = 0;
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:\\.|[^"\\])*"|[{}]/g)) {
    if (token === "{") depth++;
    if (token !== "}" || --depth > 0) continue;
    const end = index + 1;
    objects.push(JSON.parse(text.slice(start, end)) as JsonObject);
    start = end;
  }
  return { objects, rest: text.slice(start) };
}

/** A value that has to be an object. */
export function asObject(value: JsonValue | undefined): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error(`not an object: ${JSON.stringify(value)}`);
  }
  return value;
}
