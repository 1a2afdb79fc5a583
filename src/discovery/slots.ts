import { type Address, type Endpoint, endpoint } from "./endpoint.ts";
import { instanceName, slotName } from "./names.ts";
import type { NewServer, ServerChange, TargetServer } from "./target.ts";

/** How many servers a backend has in reserve. */
export interface SlotPolicy {
  /** At least. */
  readonly base: number;
  /** What is made at a time with linear growth; "double" grows exponentially. */
  readonly increment: number | "double";
  /** Also where HAProxy can add servers. */
  readonly always: boolean;
}

/** Where desired servers go in slots that are there. */
export interface Placement {
  /** Slots to fill and to weigh. */
  readonly fills: readonly ServerChange[];
  /** Slots to free, when what replaces their servers is there. */
  readonly frees: readonly ServerChange[];
  /** Names of desired servers for which there is no slot. */
  readonly unplaced: readonly string[];
}

/** Where new and free slots point to; they are disabled. */
const NOWHERE: Endpoint = { address: "127.0.0.1", port: 1, weight: 1 };

/** Whether a server is a slot; a registry's instances are never called so. */
export function isSlot({ name, id }: TargetServer): boolean {
  return id > 0 && instanceName(name) === name && name.startsWith(slotName(""));
}

/** Whether a server is a slot that no instance has. */
export function isFreeSlot(server: TargetServer): boolean {
  return isSlot(server) && server.disabled === true;
}

/**
 * Which slot has which instance is told by where it points, so that nothing beside the configuration has to remember it. `desired` are those that have no server of their own; what is kept stays in
 * its slot.
 */
export function placeInSlots(
  desired: ReadonlyMap<string, Endpoint>,
  kept: ReadonlyMap<string, Address> | undefined,
  slots: readonly TargetServer[],
): Placement {
  const free = slots.filter(isFreeSlot);
  const taken = Map.groupBy(
    slots.filter((slot) => !isFreeSlot(slot)),
    endpoint,
  );
  const fills: ServerChange[] = [];
  const homeless: string[] = [];
  for (const [name, wanted] of desired) {
    const slot = taken.get(endpoint(wanted))?.shift();
    if (slot === undefined) homeless.push(name);
    else if (slot.weight !== wanted.weight)
      fills.push({ kind: "set-weight", name: slot.name, weight: wanted.weight });
  }
  for (const address of kept?.values() ?? []) taken.get(endpoint(address))?.shift();
  const unplaced: string[] = [];
  for (const name of homeless) {
    const slot = free.shift();
    if (slot === undefined) unplaced.push(name);
    else fills.push({ kind: "fill", name: slot.name, ...onlyEndpoint(desired.get(name) as Endpoint) });
  }
  const frees = [...taken.values()].flat().map(({ name }) => ({ kind: "free", name }) as const);
  return { fills, frees, unplaced };
}

/** The slots to be made so that these find room beside the `present` ones, filled as far as they go. Ids count up from `firstId`. */
export function newSlots(
  endpoints: readonly Endpoint[],
  present: number,
  policy: SlotPolicy,
  firstId: number,
  options: readonly string[],
): NewServer[] {
  const count = grown(present + endpoints.length, policy) - present;
  return Array.from({ length: count }, (_, index) => {
    const filled = endpoints[index];
    const id = firstId + index;
    return {
      ...{ name: slotName(id), id, ...onlyEndpoint(filled ?? NOWHERE) },
      ...(options.length > 0 && { options }),
      ...(filled === undefined && { disabled: true }),
    };
  });
}

/** The least size of the policy that has room for so many. */
function grown(needed: number, { base, increment }: SlotPolicy): number {
  if (needed <= base) return base;
  if (increment !== "double") return base + Math.ceil((needed - base) / increment) * increment;
  let size = base;
  while (size < needed) size *= 2;
  return size;
}

function onlyEndpoint({ address, port, weight }: Endpoint): Endpoint {
  return { address, port, weight };
}
