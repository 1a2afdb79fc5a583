import type { Haproxy } from "../haproxy/haproxy.ts";

/** Whether HAProxy can be brought to a configuration: it runs, or is ours and down, and is then started from it. That is how a configuration it cannot start with is mended. */
export function canReload({ mode, state }: Pick<Haproxy, "mode" | "state">): boolean {
  return state.kind === "running" || (mode === "managed" && state.kind !== "stopped");
}
