import { defaultServerWords } from "../config/defaults.ts";
import { backendSection, type ConfiguredServer, numberAfter, serversOf } from "../config/server.ts";
import type { TargetServer } from "../discovery/target.ts";
import type { Document } from "../text/document.ts";

/** What was made of the servers of a section: discovery asks before each change, and compares by identity. */
const made = new WeakMap<
  readonly ConfiguredServer[],
  { readonly inheritedWeight: number; readonly servers: readonly TargetServer[] }
>();

/** The servers of a backend as discovery sees them; undefined when there is no such backend. The same array for as long as nothing in it has changed. */
export function targetServers(document: Document, backend: string): readonly TargetServer[] | undefined {
  const section = backendSection(document, backend);
  if (section === undefined) return undefined;
  const configured = serversOf(section);
  const inheritedWeight = numberAfter(defaultServerWords(document, section), "weight") ?? 1;
  const known = made.get(configured);
  if (known?.inheritedWeight === inheritedWeight) return known.servers;
  const servers = configured.map(({ name, address, port, weight, id, disabled }) => ({
    ...{ name, address, port, disabled },
    weight: weight ?? inheritedWeight,
    id: id ?? 0,
  }));
  made.set(configured, { inheritedWeight, servers });
  return servers;
}
