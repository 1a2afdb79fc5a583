import type { ConsulClient } from "./client.ts";

/** Which of several addresses is asked: that of the last good answer, or the one behind it when there was none. */
export interface Preference {
  at: number;
}

/**
 * One client of several addresses of the same cluster. A query that fails makes the next one, whoever makes it, go to the next address; it is not repeated here, since whoever asked asks again after a
 * while. Indexes are the cluster's, so that they hold for all addresses.
 */
export function createFailoverClient(
  addresses: readonly string[],
  open: (address: string) => ConsulClient,
  preference: Preference,
): ConsulClient {
  const clients = new Map<number, ConsulClient>();

  function clientAt(at: number): ConsulClient {
    const present = clients.get(at);
    if (present !== undefined) return present;
    const opened = open(addresses[at] as string);
    clients.set(at, opened);
    return opened;
  }

  async function ask<T>(signal: AbortSignal, query: (client: ConsulClient) => Promise<T>): Promise<T> {
    const { at } = preference;
    try {
      return await query(clientAt(at));
    } catch (error) {
      // Of many queries that fail together, the first moves on.
      if (!signal.aborted && preference.at === at) preference.at = (at + 1) % addresses.length;
      throw error;
    }
  }

  return {
    services: (mode, signal) => ask(signal, (client) => client.services(mode, signal)),
    instances: (service, mode, signal) => ask(signal, (client) => client.instances(service, mode, signal)),
    nodes: (mode, signal) => ask(signal, (client) => client.nodes(mode, signal)),
    node: (node, mode, signal) => ask(signal, (client) => client.node(node, mode, signal)),
    checks: (mode, signal) => ask(signal, (client) => client.checks(mode, signal)),
    leader: (signal) => ask(signal, (client) => client.leader(signal)),
    close() {
      for (const client of clients.values()) client.close();
    },
  };
}
