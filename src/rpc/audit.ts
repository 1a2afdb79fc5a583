import type { DescMessage, Message } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { status as Code } from "@grpc/grpc-js";
import { Role } from "../../gen/haplane/v1/options_pb.js";
import { DomainError } from "../lib/errors.ts";
import type { BoundMethod, Call, CallEnd, Protocol } from "./call.ts";
import { Encoded } from "./encoded.ts";
import { redactedJson } from "./redact.ts";
import { roleName } from "./roles.ts";

/** Who wanted to change what, from where, and what became of it. */
export interface AuditRecord {
  readonly caller: string;
  /** Absent for a caller who may not do it: the role is in the error. */
  readonly role: string;
  /** Where the call came from, as `Peer.address`. */
  readonly peer: string;
  readonly listener: string;
  readonly protocol: Protocol;
  /** `package.Service/Method`. */
  readonly method: string;
  readonly requestId: string;
  /** Names of resources in the request, in its order, at most 20. */
  readonly resources: readonly string[];
  /** Nothing was to be changed. */
  readonly validateOnly: boolean;
  /** The revision that the answer names, else absent. */
  readonly revision?: string;
  /** gRPC's code by name, such as `OK`. */
  readonly outcome: string;
  /** The reason of the error, else absent. */
  readonly reason?: string;
  /** The error as a sentence, else absent. */
  readonly error?: string;
  /** The request as JSON, of a stream its first message, without what is secret; absent when none was read. */
  readonly request?: string;
  /** The client's `traceparent`, else absent. */
  readonly traceparent?: string;
  readonly tookMs: number;
}

const MAX_RESOURCES = 20;
/** Characters of a name that are told. */
const MAX_NAME = 300;
/** Requests are told up to so many characters. */
const MAX_CHARACTERS = 4_096;
/** How deep requests are looked into for names: a change in a list, and its resource. */
const MAX_DEPTH = 4;
/** Fields that name what a request is about. */
const NAMES: ReadonlySet<string> = new Set(["name", "parent"]);

/**
 * The record of a call that was to change something; undefined for calls that read, and for those whose caller nobody knows: they never came so far. This is the one place that makes records.
 */
export function auditOf(call: Call, end: CallEnd, listener: string): AuditRecord | undefined {
  const { access } = call.method;
  if (access.kind !== "role" || access.role <= Role.VIEWER || end.code === Code.UNAUTHENTICATED)
    return undefined;
  const denied = end.error instanceof DomainError ? end.error : undefined;
  const request = call.request ?? call.first;
  const revision = revisionOf(call.answer);
  return {
    caller: denied?.metadata.caller ?? call.caller.name,
    role: denied?.metadata.role ?? roleName(call.caller.role),
    peer: call.peer.address,
    listener,
    protocol: call.protocol,
    method: call.method.name,
    requestId: call.requestId,
    ...(request === undefined ? { resources: [], validateOnly: false } : aboutOf(call.method, request)),
    ...(revision !== undefined && { revision }),
    outcome: Code[end.code],
    ...(denied !== undefined && { reason: denied.reason, error: denied.message }),
    ...(request !== undefined && { request: textOf(call.method.desc.input, request) }),
    ...(call.traceparent !== undefined && { traceparent: call.traceparent }),
    tookMs: Math.round(end.durationMs),
  };
}

/** What a request says that a record tells. */
function aboutOf(
  { desc: { input }, names }: BoundMethod,
  request: Message,
): Pick<AuditRecord, "resources" | "validateOnly"> {
  const resources: string[] = [];
  const add = (name: string) => {
    if (resources.length < MAX_RESOURCES) resources.push(name.slice(0, MAX_NAME));
  };
  let validateOnly = false;
  const look = (type: DescMessage, value: Message, depth: number): void => {
    const fields = reflect(type, value);
    const implied = names.get(type.typeName)?.(value);
    if (implied !== undefined) add(implied);
    for (const field of fields.fields) {
      if (!fields.isSet(field)) continue;
      if (field.name === "validate_only") validateOnly = true;
      if (field.fieldKind === "scalar" && NAMES.has(field.name)) add(String(fields.get(field)));
      // Of a raw command only its beginning: what follows may be a key or a password.
      if (field.fieldKind === "scalar" && field.name === "command")
        add(String(fields.get(field)).split(/\s+/, 3).join(" "));
      // What a resource says of itself is in other packages, and no name of a resource.
      if (depth === MAX_DEPTH || field.message?.file.proto.package !== input.file.proto.package) continue;
      if (field.fieldKind === "message") look(field.message, fields.get(field).message, depth + 1);
      else if (field.fieldKind === "list")
        for (const item of fields.get(field))
          if (resources.length < MAX_RESOURCES)
            look(field.message, (item as ReflectMessage).message, depth + 1);
    }
  };
  look(input, request, 1);
  return { resources, validateOnly };
}

function revisionOf(answer: unknown): string | undefined {
  const message = answer instanceof Encoded ? answer.message : answer;
  const revision = (message as { revision?: unknown } | undefined)?.revision;
  if (typeof revision !== "bigint" && typeof revision !== "number") return undefined;
  return Number(revision) === 0 ? undefined : String(revision);
}

function textOf(desc: DescMessage, request: Message): string {
  try {
    return JSON.stringify(redactedJson(desc, request, MAX_CHARACTERS)).slice(0, MAX_CHARACTERS);
  } catch {
    // A duration or timestamp out of range has no JSON form.
    return "(cannot be written as JSON)";
  }
}
