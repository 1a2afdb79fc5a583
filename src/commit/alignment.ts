import { isIP } from "node:net";
import { defaultServerWords } from "../config/defaults.ts";
import { backendSection, type ConfiguredServer, numberAfter, serversOf } from "../config/server.ts";
import type { AdminState, ServerChange } from "../haproxy/server-change.ts";
import type { ServerState } from "../haproxy/server-states.ts";
import type { Document } from "../text/document.ts";
import { adminStateOf } from "./given-back.ts";
import { sameIp } from "./ip.ts";

/** What is to be compared. */
export interface Scope {
  /** Servers whose lines were edited: everything about them is brought in step. */
  readonly names: ReadonlySet<string>;
  /** For a worker of which it is not known what it took: also which servers there are, but nothing of the others that somebody may have set. */
  readonly membership: boolean;
}

/** How long a server that was removed may take to finish its connections. */
const DRAIN_MS = 600_000;

/**
 * The changes that bring a worker in step with the document, by comparing states. A server that the file does not have is removed only when it carries an explicit id, as all do that
 * come through us: what somebody added by hand at runtime stays. `drainMs` is how long such a one may take to finish its connections.
 */
export function alignBackend(
  document: Document,
  backend: string,
  states: readonly ServerState[],
  scope: Scope,
  drainMs?: number,
): ServerChange[] {
  const section = backendSection(document, backend);
  if (section === undefined) return [];
  const inheritedWords = defaultServerWords(document, section);
  const inScope = (name: string) => scope.membership || scope.names.has(name);
  const running = new Map(
    states.filter((state) => state.backend === backend).map((state) => [state.server, state]),
  );
  const changes: ServerChange[] = [];
  for (const server of serversOf(section)) {
    const state = running.get(server.name);
    running.delete(server.name);
    if (!inScope(server.name) || isIP(server.address) === 0) continue;
    if (state === undefined) changes.push(addition(backend, server, inheritedWords));
    else if (scope.names.has(server.name))
      changes.push(...difference(backend, server, state, inheritedWords));
  }
  for (const state of running.values()) {
    if (scope.names.has(state.server) || (scope.membership && state.idForced))
      changes.push(removal(backend, state.server, drainMs));
  }
  return changes;
}

/** The command that adds a configured server to the worker. */
export function addition(
  backend: string,
  server: ConfiguredServer,
  inheritedWords: readonly string[],
): ServerChange {
  const { name, address, port, words } = server;
  return { kind: "add", backend, server: name, address, port, words: [...inheritedWords, ...words] };
}

/** The command that takes a server out of the worker once its connections have ended. */
export function removal(backend: string, server: string, drainMs = DRAIN_MS): ServerChange {
  return { kind: "delete", backend, server, drainMs, shutdownSessions: true };
}

function difference(
  backend: string,
  server: ConfiguredServer,
  state: ServerState,
  inheritedWords: readonly string[],
): ServerChange[] {
  const moved = !sameIp(server.address, state.address) || server.port !== state.port;
  const weight = server.weight ?? numberAfter(inheritedWords, "weight") ?? 1;
  const reweighed = weight !== state.weight;
  const admin = wantedAdminState(server, state);
  if (!moved && !reweighed && admin === undefined) return [];
  return [
    {
      kind: "set",
      backend,
      server: server.name,
      ...(moved && { address: server.address, port: server.port }),
      ...(reweighed && { weight }),
      ...(admin && { state: admin }),
    },
  ];
}

/** What the document wants of a server that it says something else of: maintenance that a command asked for is not the document's business. */
function wantedAdminState({ disabled }: ConfiguredServer, state: ServerState): AdminState | undefined {
  const inMaintenance = adminStateOf(state) === "maint";
  if (disabled) return inMaintenance ? undefined : "maint";
  return inMaintenance && state.admin.configuredMaint ? "ready" : undefined;
}
