import { DomainError } from "../lib/errors.ts";
import type { Peer } from "./handler.ts";

/** Counts the open calls of each peer, over all listeners. */
export interface PeerCalls {
  /** Counts a call; the error that it is to be refused with when its peer has too many. */
  begin(peer: Peer): DomainError | undefined;
  /** A call that was counted has ended, refused or not. */
  end(peer: Peer): void;
}

/** Counts calls, and refuses those of a peer that has `max`. */
export function countPeerCalls(max: number): PeerCalls {
  const open = new Map<string, number>();
  return {
    begin({ host }) {
      const count = (open.get(host) ?? 0) + 1;
      open.set(host, count);
      if (count <= max) return undefined;
      return new DomainError("LIMIT_EXCEEDED", `your address has ${max} calls open; end some first`, {
        metadata: { limit: "max_calls_per_peer", maximum: String(max) },
        retryAfterMs: 1_000,
      });
    },
    end({ host }) {
      const count = (open.get(host) ?? 0) - 1;
      if (count > 0) open.set(host, count);
      else open.delete(host);
    },
  };
}
