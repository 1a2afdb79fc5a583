import { originalName, retryName } from "./names.ts";
import type { NewServer, ServerChange, TargetServer } from "./target.ts";

/** Where a server sends its connections, and how many of them. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly weight: number;
}

/** What a backend is to have. */
export interface Desired {
  /** By server name. */
  readonly servers: ReadonlyMap<string, Endpoint>;
  /** Names that are not desired and yet stay, since their loss is not believed. */
  readonly keep: ReadonlySet<string>;
  /** What servers that are added have on their lines beside. */
  readonly options?: readonly string[];
}

/** The way from what is there to what is desired. */
export interface Plan {
  /** Additions and settings: one after another, and at once. */
  readonly changes: readonly ServerChange[];
  /** Names of servers to remove; each may take a while. */
  readonly removals: readonly string[];
}

/**
 * The smallest list of changes that makes a backend what it should be. `leaving` are the servers (name → id) whose removal is under way: their names and ids
 * are not free yet. Servers without an `id` of their own belong to somebody else and are only walked around.
 */
export function reconcile(
  desired: Desired,
  present: readonly TargetServer[],
  leaving: ReadonlyMap<string, number>,
): Plan {
  const managed = groupByOriginalName(present, leaving);
  const taken = new Set<string>(leaving.keys());
  for (const server of present) taken.add(server.name);
  let id = highestId(present, leaving);
  const changes: ServerChange[] = [];
  const removals: string[] = [];
  for (const [name, endpoint] of desired.servers) {
    const servers = managed.get(name);
    if (servers === undefined) {
      const free = freeName(name, taken);
      taken.add(free);
      changes.push({ kind: "add", ...newServer(free, endpoint, ++id, desired.options) });
      continue;
    }
    const kept = servers.find((server) => hasSameAddress(server, endpoint)) ?? (servers[0] as TargetServer);
    changes.push(...settings(kept, endpoint));
    for (const server of servers) if (server !== kept) removals.push(server.name);
  }
  for (const [name, servers] of managed) {
    if (desired.servers.has(name) || desired.keep.has(name)) continue;
    for (const server of servers) removals.push(server.name);
  }
  return { changes, removals };
}

/** The servers of a backend that does not exist yet. */
export function firstServers(desired: Desired): NewServer[] {
  return [...desired.servers].map(([name, endpoint], index) =>
    newServer(name, endpoint, index + 1, desired.options),
  );
}

/** Whether a server in the document is discovery's own. */
export function isManaged(server: TargetServer): boolean {
  return server.id > 0;
}

function groupByOriginalName(
  present: readonly TargetServer[],
  leaving: ReadonlyMap<string, number>,
): Map<string, TargetServer[]> {
  const groups = new Map<string, TargetServer[]>();
  for (const server of present) {
    if (!isManaged(server) || leaving.has(server.name)) continue;
    const name = originalName(server.name);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [server]);
    else group.push(server);
  }
  return groups;
}

/** HAProxy numbers servers without an `id` from 1, so that the count of servers is a bound for those. */
function highestId(present: readonly TargetServer[], leaving: ReadonlyMap<string, number>): number {
  let highest = present.length;
  for (const server of present) highest = Math.max(highest, server.id);
  for (const id of leaving.values()) highest = Math.max(highest, id);
  return highest;
}

function freeName(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name;
  let attempt = 2;
  while (taken.has(retryName(name, attempt))) attempt++;
  return retryName(name, attempt);
}

function* settings(server: TargetServer, endpoint: Endpoint): Generator<ServerChange> {
  const { name } = server;
  const { address, port, weight } = endpoint;
  if (!hasSameAddress(server, endpoint)) yield { kind: "set-address", name, address, port };
  if (server.weight !== weight) yield { kind: "set-weight", name, weight };
}

function hasSameAddress(server: TargetServer, endpoint: Endpoint): boolean {
  return server.address === endpoint.address && server.port === endpoint.port;
}

function newServer(
  name: string,
  { address, port, weight }: Endpoint,
  id: number,
  options: readonly string[] = [],
): NewServer {
  return { name, address, port, weight, id, ...(options.length > 0 && { options }) };
}
