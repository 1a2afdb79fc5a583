import { hasAdminSocket } from "../config/admin-socket.ts";
import type { ConfigurationAlert } from "../lib/errors.ts";
import type { Document } from "../text/document.ts";

/**
 * A warning for a change that takes HAProxy's last socket for commands away. It is legal, and may be meant; but from then on every change costs a reload, discovery's too, which nobody who only edits
 * `global` expects.
 */
export function lostSocket(before: Document, after: Document): ConfigurationAlert[] {
  if (before === after || !hasAdminSocket(before) || hasAdminSocket(after)) return [];
  const message =
    "the configuration has no stats socket with the level admin any more: HAProxy takes no commands then, every change costs a reload, and discovery cannot add servers without one";
  return [{ file: "", line: 0, message, resource: "global" }];
}
