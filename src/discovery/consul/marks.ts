import { hash } from "node:crypto";
import type { ConsulClient } from "./client.ts";
import { type Fields, malformed, object, text } from "./fields.ts";

/** How many nodes are asked for at the same time. */
const ASKED_AT_ONCE = 8;

/** What tells one state of a service's instances from another, their checks apart: made of who they are and when Consul last changed them or their nodes. "" for a service without instances. */
export type Mark = string;

/** The mark of a service from the answer of `/v1/health/service/<service>`. Throws `CONSUL_UNAVAILABLE` when that is anything else. */
export function markOf(body: unknown, service: string): Mark {
  const entries: string[] = [];
  for (const element of body as readonly unknown[]) {
    const { Node, Service } = object(element, "an instance");
    const self = object(Service, "an instance's Service");
    if (self.Service === service) entries.push(entryOf(object(Node, "an instance's Node"), self));
  }
  return join(entries);
}

/** A node as it was seen last. */
interface SeenNode {
  readonly digest: string;
  /** What its services' marks are made of, by service. */
  readonly entries: ReadonlyMap<string, readonly string[]>;
}

/** Asks for the marks of all services. */
export interface CatalogMarks {
  /** By service; undefined when there are more nodes than `limit`. Rejects with a `DomainError`. */
  look(limit: number, signal: AbortSignal): Promise<ReadonlyMap<string, Mark> | undefined>;
}

/** Asks by node: mostly there are fewer of them than services, and what they say is shorter. A node that says what it said before is not read. */
export function createCatalogMarks(client: Pick<ConsulClient, "nodes" | "node">): CatalogMarks {
  let seen = new Map<string, SeenNode>();

  async function lookAt(node: string, signal: AbortSignal): Promise<SeenNode> {
    const { body } = await client.node(node, { kind: "now" }, signal);
    const last = seen.get(node);
    return last?.digest === body.digest ? last : { digest: body.digest, entries: readNode(body.read()) };
  }

  return {
    async look(limit, signal) {
      const { body } = await client.nodes({ kind: "now" }, signal);
      const names = readNodes(body.read());
      if (names.length > limit) return undefined;
      const now = new Map<string, SeenNode>();
      const left = names.values();
      const askOn = async () => {
        for (const node of left) now.set(node, await lookAt(node, signal));
      };
      await Promise.all(Array.from({ length: ASKED_AT_ONCE }, askOn));
      seen = now;
      return marksOf(now.values());
    },
  };
}

function marksOf(nodes: Iterable<SeenNode>): Map<string, Mark> {
  const all = new Map<string, string[]>();
  for (const { entries } of nodes) {
    for (const [service, own] of entries) {
      const before = all.get(service);
      if (before === undefined) all.set(service, [...own]);
      else before.push(...own);
    }
  }
  const marks = new Map<string, Mark>();
  for (const [service, entries] of all) marks.set(service, join(entries));
  return marks;
}

function readNodes(body: unknown): string[] {
  if (!Array.isArray(body)) throw malformed("the nodes are not a list");
  return body.map((node) => text(object(node, "a node").Node, "a node's Node"));
}

/** Reads the answer of `/v1/catalog/node/<node>`, which is null when the node has gone meanwhile. */
function readNode(body: unknown): Map<string, string[]> {
  const entries = new Map<string, string[]>();
  if (body === null) return entries;
  const { Node, Services } = object(body, "a node with its services");
  const node = object(Node, "a node");
  for (const element of Object.values(object(Services, "a node's Services"))) {
    const self = object(element, "a service of a node");
    const service = text(self.Service, "Service.Service");
    const entry = entryOf(node, self);
    const before = entries.get(service);
    if (before === undefined) entries.set(service, [entry]);
    else before.push(entry);
  }
  return entries;
}

function entryOf(node: Fields, self: Fields): string {
  return JSON.stringify([node.Node, node.ModifyIndex, self.ID, self.ModifyIndex]);
}

function join(entries: readonly string[]): Mark {
  return entries.length === 0 ? "" : hash("sha1", [...entries].sort().join(), "base64");
}
