import { isIPv6 } from "node:net";
import { formatAddress } from "../lib/address.ts";
import type { Peer } from "./handler.ts";
import { formatListenAddress, type ListenAddress } from "./listener.ts";

/** The peer of a TCP connection. */
export function tcpPeer({
  remoteAddress = "unknown",
  remotePort = 0,
}: {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}): Peer {
  const address = formatAddress({ host: remoteAddress, port: remotePort });
  return { kind: "tcp", address, host: hostOf(remoteAddress) };
}

/** Whoever is on the other side of a unix socket. */
export function unixPeer(address: ListenAddress): Peer {
  return { kind: "unix", address: formatListenAddress(address), host: "unix" };
}

/**
 * Whom limits of a peer count: an IPv4 address, or the /64 network of an IPv6 address, since who has one address of it has all.
 */
export function hostOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [head = "", tail] = (address.split("%", 1)[0] ?? "").split("::");
  const groups = head === "" ? [] : head.split(":");
  const rest = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - rest.length);
  const all = [...groups, ...Array.from({ length: zeros }, () => "0"), ...rest];
  const network = all.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(":")}::/64`;
}
