import { Resolver } from "node:dns/promises";
import { DomainError } from "../../lib/errors.ts";
import type { Instance, LeftOut } from "../registry.ts";
import type { DnsName } from "./settings.ts";

/** What a name's records say. */
export type DnsAnswer =
  | { readonly kind: "found"; readonly instances: readonly Instance[]; readonly leftOut: readonly LeftOut[] }
  /** There is no such name (NXDOMAIN), which is an answer and no failure. */
  | { readonly kind: "no-name" };

/** A record of a name. */
interface Srv {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** How long one server is waited for; it is tried twice as long the second time. */
const TIMEOUT_MS = 2_000;
const TRIES = 2;
const MAX_RECORDS = 10_000;
const MAX_WEIGHT = 256;

/** Looks names up, until it is closed. */
export interface Lookup {
  /** Rejects with `DNS_UNAVAILABLE` when nobody gives a good answer, with `CANCELLED` once it is closed. */
  instances(name: DnsName): Promise<DnsAnswer>;
  /** Cuts what is under way short. */
  close(): void;
}

/** A lookup at these DNS servers, or those of the system when there are none. */
export function createLookup(servers: readonly string[]): Lookup {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  if (servers.length > 0) resolver.setServers(servers);

  /** The records; undefined when there is no such name, and none when it has none of this kind. */
  async function records<T>(what: string, ask: () => Promise<T[]>): Promise<T[] | undefined> {
    try {
      const found = await ask();
      if (found.length > MAX_RECORDS) throw unavailable(what, `more than ${MAX_RECORDS} records`);
      return found;
    } catch (error) {
      const { code = String(error) } = error as { code?: string };
      if (error instanceof DomainError) throw error;
      if (code === "ENODATA") return [];
      if (code === "ENOTFOUND") return undefined;
      if (code === "ECANCELLED") throw new DomainError("CANCELLED", "the lookup was cancelled");
      throw unavailable(what, code);
    }
  }

  const addresses = (name: string, kind: "A" | "AAAA") =>
    records(`${kind} of ${name}`, () => (kind === "A" ? resolver.resolve4(name) : resolver.resolve6(name)));

  async function ofAddresses({ service, name, records: kind, port }: DnsName): Promise<DnsAnswer> {
    const found = await addresses(name, kind as "A" | "AAAA");
    if (found === undefined) return { kind: "no-name" };
    const instances = [...new Set(found.map(canonical))].sort();
    return {
      kind: "found",
      instances: instances.map((address) => ({ node: service, id: address, address, port, weight: 1 })),
      leftOut: [],
    };
  }

  async function ofServices({ service, name }: DnsName): Promise<DnsAnswer> {
    const found = await records<Srv>(`SRV of ${name}`, () => resolver.resolveSrv(name));
    if (found === undefined) return { kind: "no-name" };
    const first = Math.min(...found.map(({ priority }) => priority));
    const heaviest = Math.max(...found.map(({ weight }) => weight));
    const leftOut: LeftOut[] = [];
    const instances = new Map<string, Instance>();
    const leave = (kind: LeftOut["kind"], id: string, reason: string) =>
      leftOut.push({ kind, node: service, id, reason });
    for (const { target, srv } of await withAddresses(found)) {
      const id = `${srv.name}:${srv.port}`;
      if (srv.priority > first) leave("ignored", id, `its priority ${srv.priority} comes after ${first}`);
      else if (srv.port === 0) leave("unusable", id, "it has no port");
      else if (target.length === 0) leave("unusable", id, `${srv.name} has no address`);
      else {
        const weight = scaled(srv.weight, heaviest);
        for (const address of target) {
          const own = target.length === 1 ? id : `${id}-${address}`;
          instances.set(own, { node: service, id: own, address, port: srv.port, weight });
        }
      }
    }
    return { kind: "found", instances: [...instances.values()].sort(byId), leftOut };
  }

  async function withAddresses(found: readonly Srv[]): Promise<{ srv: Srv; target: readonly string[] }[]> {
    const targets = [...new Set(found.map(({ name }) => name))];
    const resolved = new Map(
      await Promise.all(
        targets.map(async (target) => {
          const four = await addresses(target, "A");
          const all = four === undefined || four.length === 0 ? await addresses(target, "AAAA") : four;
          return [target, [...new Set((all ?? []).map(canonical))].sort()] as const;
        }),
      ),
    );
    return found.map((srv) => ({ srv, target: resolved.get(srv.name) ?? [] }));
  }

  return {
    instances: (name) => (name.records === "SRV" ? ofServices(name) : ofAddresses(name)),
    close: () => resolver.cancel(),
  };
}

/** A weight of 0 means a little in SRV, and nothing at all in HAProxy. Those beyond HAProxy's are scaled so that their shares stay. */
function scaled(weight: number, heaviest: number): number {
  const share = heaviest > MAX_WEIGHT ? Math.round((weight * MAX_WEIGHT) / heaviest) : weight;
  return Math.max(1, share);
}

function canonical(address: string): string {
  return address.includes(":") ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}

function byId(a: Instance, b: Instance): number {
  return a.id < b.id ? -1 : 1;
}

function unavailable(what: string, reason: string): DomainError {
  return new DomainError("DNS_UNAVAILABLE", `DNS, query for ${what}: ${reason}`);
}
