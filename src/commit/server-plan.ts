import { formatName } from "../config/name.ts";
import { type ConfiguredServer, numberAfter } from "../config/server.ts";
import { editServer, serverWords } from "../config/server-edits.ts";
import type { ServerChange } from "../discovery/target.ts";
import type { ServerChange as Command } from "../haproxy/server-change.ts";
import { addition, removal } from "./alignment.ts";
import type { Edit } from "./edit.ts";
import type { ServerEventFacts } from "./server-event.ts";

/** What a change means for the document and for the worker. */
export interface ServerPlan {
  readonly edit: Edit;
  readonly facts: ServerEventFacts;
  readonly command: Command;
}

/** What one change of a server of a backend means. `now` is the server as it is before, `inherited` what `default-server` lines give it. */
export function planServer(
  backend: string,
  change: ServerChange,
  now: ConfiguredServer | undefined,
  inherited: readonly string[],
  author: string,
): ServerPlan {
  const resource = formatName("backends", backend, "servers", change.name);
  const present = now ?? { name: change.name, address: "", port: 0, weight: undefined };
  const planned = (facts: ServerEventFacts, verb: string, command: Command): ServerPlan => ({
    edit: {
      apply: (on) => editServer(on, backend, change),
      resources: [resource],
      author,
      message: `${verb} ${resource}`,
      servers: [facts],
    },
    facts,
    command,
  });
  switch (change.kind) {
    case "add": {
      const server = {
        ...change,
        disabled: change.disabled ?? false,
        words: serverWords(change),
      } satisfies ConfiguredServer;
      return planned({ type: "added", backend, server }, "adds", addition(backend, server, inherited));
    }
    case "remove":
      return planned(
        { type: "removed", backend, server: present },
        "removes",
        removal(backend, change.name, change.drainMs),
      );
    case "set-address": {
      const { address, port } = change;
      const server = { ...present, address, port };
      return planned({ type: "updated", backend, server }, "moves", {
        kind: "set",
        backend,
        server: change.name,
        address,
        port,
      });
    }
    case "fill": {
      const { address, port, weight } = change;
      const server = { ...present, address, port, weight, disabled: false };
      const weighs = (present.weight ?? numberAfter(inherited, "weight") ?? 1) !== weight;
      return planned({ type: "updated", backend, server }, "fills", {
        ...{ kind: "set", backend, server: change.name, address, port, state: "ready" },
        ...(weighs && { weight }),
      });
    }
    case "free":
      return planned({ type: "updated", backend, server: { ...present, disabled: true } }, "frees", {
        kind: "set",
        backend,
        server: change.name,
        state: "maint",
      });
    case "set-weight": {
      const { weight } = change;
      const server = { ...present, weight };
      return planned({ type: "updated", backend, server }, "weighs", {
        kind: "set",
        backend,
        server: change.name,
        weight,
      });
    }
  }
}
