import type { DescMethod } from "@bufbuild/protobuf";
import { DomainError } from "../lib/errors.ts";
import { Call, type CallObserver, type CallOrigin } from "./call.ts";
import type { PeerCalls } from "./peer-calls.ts";

/** The open calls of one listener. */
export interface Calls {
  /** Begins a call; it leaves the list by itself when it ends. */
  open(origin: CallOrigin): Call;
  /** Ends what could go on for ever, and everything when `all`, with UNAVAILABLE. Streams that are opened later end at once. */
  shutDown(which: "streams" | "all"): void;
  /** Resolves when no call is open. */
  idle(): Promise<void>;
}

/** Keeps the open calls of a listener. */
export function trackCalls(observer: CallObserver, peers: PeerCalls): Calls {
  const open = new Set<Call>();
  let waiting: (() => void)[] = [];
  let stopping: "streams" | "all" | undefined;

  const stops = ({ method }: Call) => stopping === "all" || (stopping === "streams" && mayLast(method.desc));

  const tracking: CallObserver = {
    began: (call) => observer.began(call),
    ended(call, end) {
      open.delete(call);
      peers.end(call.peer);
      observer.ended(call, end);
      if (open.size > 0) return;
      for (const resolve of waiting) resolve();
      waiting = [];
    },
  };
  return {
    open(origin) {
      const call = new Call(origin, tracking);
      open.add(call);
      const refusal = peers.begin(call.peer);
      if (stops(call)) call.abort(shuttingDown());
      else if (refusal !== undefined) call.abort(refusal);
      return call;
    },
    shutDown(which) {
      stopping = which;
      for (const call of open) if (stops(call)) call.abort(shuttingDown());
    },
    idle: () => (open.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}

function shuttingDown(): DomainError {
  return new DomainError("SHUTTING_DOWN", "haplane is stopping; reconnect and go on from the last answer");
}

/** Whether calls of a method can go on for ever on our side. */
function mayLast({ methodKind }: DescMethod): boolean {
  return methodKind === "server_streaming" || methodKind === "bidi_streaming";
}
