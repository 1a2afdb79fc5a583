import { isIP, isIPv6 } from "node:net";
import { DnsRecords, type DnsRegistry } from "../../../gen/haplane/v1/service_discovery_pb.js";
import { durationMs } from "../durations.ts";

type Note = (field: string, description: string | undefined) => void;

const NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$/;
const MAX_SERVERS = 8;
const MAX_NAMES = 1_000;
const MAX_SERVICE = 128;
const MIN_INTERVAL_MS = 500;
const MAX_INTERVAL_MS = 3_600_000;

/** Notes everything that is wrong with the settings of a DNS. */
export function dnsViolations({ servers, names, interval }: DnsRegistry, note: Note): void {
  if (servers.length > MAX_SERVERS) note("dns.servers", `must have at most ${MAX_SERVERS} elements`);
  for (const [index, server] of servers.entries())
    note(
      `dns.servers[${index}]`,
      isServer(server) ? undefined : "must be an IP address, with or without a port",
    );
  if (names.length === 0) note("dns.names", "is required");
  if (names.length > MAX_NAMES) note("dns.names", `must have at most ${MAX_NAMES} elements`);
  const services = new Set<string>();
  for (const [index, { service, name, records, port }] of names.entries()) {
    const path = `dns.names[${index}]`;
    if (service === "" || service.length > MAX_SERVICE)
      note(`${path}.service`, `must have 1 to ${MAX_SERVICE} characters`);
    if (services.has(service)) note(`${path}.service`, "is that of another name already");
    services.add(service);
    note(`${path}.name`, NAME.test(name) ? undefined : "must be a DNS name");
    if (DnsRecords[records] === undefined) note(`${path}.records`, "is not a known kind of records");
    const hasPort = records === DnsRecords.A || records === DnsRecords.AAAA;
    if (hasPort && (port < 1 || port > 65_535)) note(`${path}.port`, "must be 1 to 65535");
    if (!hasPort && port !== 0) note(`${path}.port`, "comes from the SRV records");
  }
  const ms = interval === undefined ? MIN_INTERVAL_MS : durationMs(interval);
  if (ms < MIN_INTERVAL_MS || ms > MAX_INTERVAL_MS) note("dns.interval", "must be 500 ms to 1 h");
}

function isServer(server: string): boolean {
  if (isIP(server) !== 0) return !server.includes("%");
  const [, six, four = six, port = ""] = server.match(/^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):(\d{1,5})$/) ?? [];
  if (four === undefined || Number(port) < 1 || Number(port) > 65_535) return false;
  return six === undefined ? isIP(four) === 4 : isIPv6(six);
}
