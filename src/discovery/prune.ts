import { isManaged } from "./reconcile.ts";
import type { SourceContext } from "./source-task.ts";

/** A backend that stays. */
export interface Kept {
  readonly backend: string;
  /** A sentence. */
  readonly reason: string;
}

/**
 * Removes backends that nobody needs any more. One that holds servers of somebody else, or that the configuration names, stays: what discovery has put into it leaves as ever, and nobody waits for
 * that. One that a service of another source has by now, be it a disabled one, is not touched at all. Resolves with those that stay.
 */
export async function pruneBackends(
  { target, backendNames }: Pick<SourceContext, "target" | "backendNames">,
  backends: readonly string[],
  author: string,
  drainMs: number,
): Promise<Kept[]> {
  const present = backends.filter((backend) => target.servers(backend) !== undefined);
  // Its service may be gone since long, or the source deleted while this waited: the name was free then.
  const taken = present.filter(backendNames.has);
  const there = present.filter((backend) => !backendNames.has(backend));
  const [own, shared] = [there.filter((backend) => !isShared(backend)), there.filter(isShared)];
  const kept = shared.map((backend) => ({ backend, reason: "it has servers that discovery did not make" }));
  const results = own.length === 0 ? [] : await target.removeBackends(own, author);
  for (const [index, result] of results.entries()) {
    if (!result.ok) kept.push({ backend: own[index] as string, reason: result.error.message });
  }
  for (const { backend } of kept) empty(backend);
  return [...taken.map((backend) => ({ backend, reason: "a service of another source has it" })), ...kept];

  function isShared(backend: string): boolean {
    return target.servers(backend)?.some((server) => !isManaged(server)) ?? false;
  }

  function empty(backend: string): void {
    const managed = (target.servers(backend) ?? []).filter(isManaged);
    if (managed.length === 0) return;
    const removals = managed.map(({ name }) => ({ kind: "remove", name, drainMs }) as const);
    // The document has it at once; what HAProxy does not take, it is brought to by the commit.
    target.changeServers(backend, removals, author).catch(() => {});
  }
}
