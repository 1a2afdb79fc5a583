import {
  status as Code,
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from "@grpc/grpc-js";
import { DomainError } from "../lib/errors.ts";
import type { Gate } from "./auth.ts";
import type { BoundMethod, Call } from "./call.ts";
import type { Calls } from "./calls.ts";
import { fail, type GrpcStatus, type Link } from "./grpc-call.ts";
import type { Peer } from "./handler.ts";
import { oversized } from "./header-size.ts";
import type { ListenAddress, ListenerLimits } from "./listener.ts";
import { tcpPeer, unixPeer } from "./peer.ts";
import { identify } from "./tls.ts";

/** What admission needs of its listener. */
export interface AdmissionOptions {
  /** Methods by path. */
  readonly methods: ReadonlyMap<string, BoundMethod>;
  readonly calls: Calls;
  readonly gate: Gate;
  /** Where the handlers find the call of their metadata. */
  readonly links: WeakMap<Metadata, Link>;
  readonly address: ListenAddress;
  readonly limits: ListenerLimits;
}

/**
 * Begins a call when its headers are there and lets it pass once the gate has: what is refused is never read, so no byte of its body is parsed. It also sees the
 * end of every call, whoever brings it about.
 */
export function admission(options: AdmissionOptions): ServerInterceptor {
  const { methods, calls, gate, links, limits } = options;
  const peerOf = peerReader(options.address);
  return (definition, wire) => {
    const method = methods.get(definition.path);
    if (method === undefined) throw new Error(`no method ${definition.path}`);
    let call: Call | undefined;
    return new ServerInterceptingCall(wire, {
      start(next) {
        next({
          onReceiveMetadata(metadata, pass) {
            const peer = peerOf(wire);
            const header = (name: string) => readHeader(metadata, name);
            const opened = calls.open({ method, protocol: "grpc", peer, header, deadline: deadlineOf(wire) });
            call = opened;
            const link = { call: opened, wire };
            watchStatuses(link, limits);
            opened.whenAborted((reason) => fail(link, reason));
            const tooMuch = oversized(partsOf(metadata), limits.maxHeaderBytes);
            if (tooMuch !== undefined) opened.abort(tooMuch);
            if (opened.ended) return;
            const admit = (caller: Call["caller"]) => {
              if (opened.ended) return;
              opened.caller = caller;
              links.set(metadata, link);
              pass(metadata);
            };
            try {
              const caller = gate(method.access, {
                peer,
                authorization: header("authorization"),
                certificate: () => identify(wire.getAuthContext().sslPeerCertificate),
              });
              if (caller instanceof Promise) caller.then(admit, (error) => fail(link, error));
              else admit(caller);
            } catch (error) {
              fail(link, error);
            }
          },
          onCancel() {
            call?.cancel();
          },
        });
      },
    });
  };
}

/**
 * grpc-js ends some calls by itself (the deadline, a message that is too large or cannot be decompressed) through the `sendStatus` of the innermost call. Standing
 * in its place gives those the same details, log and metrics as all others.
 */
function watchStatuses({ call, wire }: Link, limits: ListenerLimits): void {
  const send = wire.sendStatus.bind(wire);
  wire.sendStatus = (status: GrpcStatus) => {
    if (!call.ended) {
      const error = transportError(call, status, limits);
      // Ends the call through `fail`, which sends the status and comes back here with the call ended.
      if (status.code !== Code.UNIMPLEMENTED) return call.abort(error);
      // The protocol asks for this code: it tells clients which compression to leave out.
      call.end(status.code, error);
    }
    send(status);
  };
}

function transportError(call: Call, { code, details }: GrpcStatus, limits: ListenerLimits): DomainError {
  switch (code) {
    case Code.DEADLINE_EXCEEDED:
      return new DomainError("TIMED_OUT", "the deadline of the call has passed");
    case Code.RESOURCE_EXHAUSTED: {
      const metadata = { limit: "max_message_bytes", maximum: String(limits.maxRequestBytes) };
      return new DomainError("LIMIT_EXCEEDED", "a message of the request is too large", { metadata });
    }
    default:
      // Once the request has been read, only the connection can fail.
      if (call.request !== undefined) return new DomainError("CANCELLED", "the connection is lost");
      return new DomainError("FIELD_INVALID", `the request cannot be read: ${details}`);
  }
}

function peerReader(address: ListenAddress): (wire: ServerInterceptingCallInterface) => Peer {
  if (address.kind === "unix") {
    const peer = unixPeer(address);
    return () => peer;
  }
  return (wire) => tcpPeer(wire.getConnectionInfo());
}

/** Names and values by turns. */
function* partsOf(metadata: Metadata): Iterable<string | Buffer> {
  const headers = metadata.toJSON();
  for (const name in headers)
    for (const value of headers[name] ?? []) {
      yield name;
      yield value;
    }
}

/** All values of a header; credentials that are sent twice must not look like one. */
function readHeader(metadata: Metadata, name: string): string | undefined {
  const values = metadata.get(name);
  return values.length === 0 ? undefined : values.join(", ");
}

function deadlineOf(wire: ServerInterceptingCallInterface): number | undefined {
  const deadline = Number(wire.getDeadline());
  return Number.isFinite(deadline) ? deadline : undefined;
}
