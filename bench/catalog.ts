/** An instance that the catalog of a Consul is to have. */
export interface CatalogEntry {
  readonly node: string;
  readonly id: string;
  readonly service: string;
  readonly address: string;
  readonly port: number;
}

/** Registers an instance without an agent's help: an agent takes the longer for each, the more it has. */
export async function registerInCatalog(
  consul: { readonly address: string; readonly port: number },
  { node, id, service, address, port }: CatalogEntry,
): Promise<void> {
  const answer = await fetch(`http://${consul.address}:${consul.port}/v1/catalog/register`, {
    method: "PUT",
    body: JSON.stringify({
      ...{ Node: node, Address: "127.0.0.1" },
      Service: { ID: id, Service: service, Address: address, Port: port },
    }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${id}: ${answer.status} ${text}`);
}
