import { isIP } from "node:net";
import type { ConfiguredServer } from "../config/server.ts";
import type { AdminState, SetServer } from "../haproxy/server-change.ts";
import type { ServerState } from "../haproxy/server-states.ts";
import { sameIp } from "./ip.ts";

/** Looks a server up in a document. */
export type FindServer = (backend: string, server: string) => ConfiguredServer | undefined;

/**
 * What people set at runtime and a reload forgets: where the old worker differs from the document of before, somebody set it, through us or by hand on the socket. It is given back
 * wherever the document's own value is still the one of before. Comparing states needs no record of commands.
 *
 * @param old the former worker's servers, read just before the reload
 * @param before the document that the former worker was in step with
 * @param after the document that the new worker was started from
 */
export function givenBack(old: readonly ServerState[], before: FindServer, after: FindServer): SetServer[] {
  const changes: SetServer[] = [];
  for (const state of old) {
    const then = before(state.backend, state.server);
    const now = after(state.backend, state.server);
    if (then === undefined || now === undefined) continue;
    const address = addressSetAtRuntime(state, then, now);
    const weight = weightSetAtRuntime(state, then, now);
    const admin = adminSetAtRuntime(state, then, now);
    if (address === undefined && weight === undefined && admin === undefined) continue;
    changes.push({
      kind: "set",
      backend: state.backend,
      server: state.server,
      ...address,
      ...(weight !== undefined && { weight }),
      ...(admin !== undefined && { state: admin }),
    });
  }
  return changes;
}

/** The administrative state that commands have given a server. */
export function adminStateOf({ admin }: ServerState): AdminState {
  if (admin.forcedMaint) return "maint";
  return admin.forcedDrain ? "drain" : "ready";
}

function addressSetAtRuntime(state: ServerState, then: ConfiguredServer, now: ConfiguredServer) {
  // A host name's address comes from the resolver, not from a command.
  if (isIP(then.address) === 0 || state.address === "") return undefined;
  if (then.address !== now.address || then.port !== now.port) return undefined;
  if (sameIp(state.address, then.address) && state.port === then.port) return undefined;
  return { address: state.address, port: state.port };
}

function weightSetAtRuntime(state: ServerState, then: ConfiguredServer, now: ConfiguredServer) {
  if (then.weight !== now.weight) return undefined;
  const expected = then.weight ?? state.initialWeight;
  return state.weight === expected ? undefined : state.weight;
}

function adminSetAtRuntime(
  state: ServerState,
  then: ConfiguredServer,
  now: ConfiguredServer,
): AdminState | undefined {
  if (then.disabled !== now.disabled) return undefined;
  const found = adminStateOf(state);
  return found === (then.disabled ? "maint" : "ready") ? undefined : found;
}
