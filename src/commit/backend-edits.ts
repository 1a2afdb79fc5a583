import { formatName } from "../config/name.ts";
import { removeBackend } from "../config/remove-backend.ts";
import { backendSection, serversOf } from "../config/server.ts";
import { addBackend, addServers } from "../config/server-edits.ts";
import type { NewBackend, NewServer } from "../discovery/target.ts";
import type { Document } from "../text/document.ts";
import type { Edit } from "./edit.ts";

/** Adds a backend with its servers; one that is there by then stays as it is. */
export function backendEdit({ name, defaults, servers }: NewBackend, author: string): Edit {
  const resource = formatName("backends", name);
  return {
    apply: (document) =>
      backendSection(document, name) === undefined ? addBackend(document, name, servers, defaults) : document,
    resources: [resource, ...servers.map((server) => formatName("backends", name, "servers", server.name))],
    author,
    message: `adds ${resource}`,
    servers: servers.map((server) => ({ type: "added", backend: name, server })),
  };
}

/** Adds servers to a backend. */
export function serversEdit(backend: string, servers: readonly NewServer[], author: string): Edit {
  return {
    apply: (document) => addServers(document, backend, servers),
    resources: servers.map((server) => formatName("backends", backend, "servers", server.name)),
    author,
    message: `adds ${servers.length} servers to ${formatName("backends", backend)}`,
    servers: servers.map((server) => ({ type: "added", backend, server })),
  };
}

/** Removes a backend with the servers that it has in `present`. */
export function backendRemoval(present: Document, name: string, author: string): Edit {
  const resource = formatName("backends", name);
  const section = backendSection(present, name);
  return {
    apply: (document) => removeBackend(document, name),
    resources: [resource],
    author,
    message: `removes ${resource}`,
    servers: (section === undefined ? [] : serversOf(section)).map((server) => ({
      type: "removed",
      backend: name,
      server,
    })),
  };
}
