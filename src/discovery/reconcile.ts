import type { Address, Endpoint } from "./endpoint.ts";
import { instanceName, retryName } from "./names.ts";
import { isSlot, newSlots, placeInSlots, type SlotPolicy } from "./slots.ts";
import type { NewServer, ServerChange, TargetServer } from "./target.ts";

/** What a backend is to have. */
export interface Desired {
  /** By server name. */
  readonly servers: ReadonlyMap<string, Endpoint>;
  /** Names that are not desired and yet stay, since their loss is not believed. */
  readonly keep: ReadonlySet<string>;
  /** Where those are, as far as that is known: their slots are told by it. */
  readonly keptAt?: ReadonlyMap<string, Address>;
  /** What servers that are added have on their lines beside. */
  readonly options?: readonly string[];
}

/** The way from what is there to what is desired. */
export interface Plan {
  /** Additions and settings: one after another, and at once. */
  readonly changes: readonly ServerChange[];
  /** Names of servers to remove; each may take a while. */
  readonly removals: readonly string[];
  /** Slots to make, which takes a reload. */
  readonly growth?: readonly NewServer[];
  /** With growth: what follows when it has been made or refused, so that nothing leaves before what replaces it is there. */
  readonly afterGrowth?: readonly ServerChange[];
}

/**
 * The smallest list of changes that makes a backend what it should be. `leaving` are the servers (name → id) whose removal is under way: their names and ids
 * are not free yet. Servers without an `id` of their own belong to somebody else and are only walked around. `growth` is asked when a server has to be added: how slots are made, or undefined for a server of
 * its own.
 */
export function reconcile(
  desired: Desired,
  present: readonly TargetServer[],
  leaving: ReadonlyMap<string, number>,
  growth: () => SlotPolicy | undefined = () => undefined,
): Plan {
  const managed = groupByInstance(present, leaving);
  const slots = present.filter((server) => isSlot(server) && !leaving.has(server.name));
  const taken = new Set<string>(leaving.keys());
  for (const server of present) taken.add(server.name);
  let id = highestId(present, leaving);
  const changes: ServerChange[] = [];
  const removals: string[] = [];
  const newcomers = new Map<string, Endpoint>();
  for (const [name, endpoint] of desired.servers) {
    const servers = managed.get(name);
    if (servers === undefined) {
      newcomers.set(name, endpoint);
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
  const { fills, frees, unplaced } = placeInSlots(newcomers, desired.keptAt, slots);
  const policy = unplaced.length === 0 ? undefined : growth();
  if (policy !== undefined) {
    const endpoints = unplaced.map((name) => newcomers.get(name) as Endpoint);
    const made = newSlots(endpoints, slots.length, policy, id + 1, desired.options ?? []);
    return { changes: [...changes, ...fills], removals, growth: made, afterGrowth: frees };
  }
  const additions: ServerChange[] = unplaced.map((name) => {
    const free = freeName(name, taken);
    taken.add(free);
    return { kind: "add", ...newServer(free, newcomers.get(name) as Endpoint, ++id, desired.options) };
  });
  return { changes: [...additions, ...changes, ...fills, ...frees], removals };
}

/** The servers of a backend that does not exist yet; `slots` says how its slots are made, undefined that it has none. */
export function firstServers(desired: Desired, slots?: SlotPolicy): NewServer[] {
  if (slots !== undefined) return newSlots([...desired.servers.values()], 0, slots, 1, desired.options ?? []);
  return [...desired.servers].map(([name, endpoint], index) =>
    newServer(name, endpoint, index + 1, desired.options),
  );
}

/** Whether a server in the document is discovery's own. */
export function isManaged(server: TargetServer): boolean {
  return server.id > 0;
}

function groupByInstance(
  present: readonly TargetServer[],
  leaving: ReadonlyMap<string, number>,
): Map<string, TargetServer[]> {
  const groups = new Map<string, TargetServer[]>();
  for (const server of present) {
    if (!isManaged(server) || isSlot(server) || leaving.has(server.name)) continue;
    const name = instanceName(server.name);
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
